/** Opens a recording and moves through it. */
import { useEffect, useState } from "preact/hooks"
import * as Format from "../format.js"
import * as Recording from "../Recording.js"
import type { Strings } from "../strings.js"

/** While it plays, the position moves this often, in milliseconds. */
const STEP = 100

/** The button that opens a recording. */
export const OpenRecording = (props: {
  readonly strings: Strings
  readonly onOpen: (recording: Recording.Recording) => void
}) => {
  const { onOpen, strings } = props
  const [isWrong, setIsWrong] = useState(false)
  const open = async (file: File | undefined) => {
    const recording = file === undefined ? undefined : Recording.read(await file.text())
    setIsWrong(file !== undefined && recording === undefined)
    if (recording !== undefined) onOpen(recording)
  }
  return (
    <label class="file">
      {strings.openRecording}
      <input
        type="file"
        accept=".ndjson,.jsonl,.json"
        onChange={(event) => void open(event.currentTarget.files?.[0])}
      />
      {isWrong && <output class="failure">{strings.recordingWrong}</output>}
    </label>
  )
}

/** The strip of an open recording. */
export const Player = (props: {
  readonly recording: Recording.Recording
  readonly at: number
  readonly strings: Strings
  readonly onSeek: (at: number) => void
  readonly onClose: () => void
}) => {
  const { at, onClose, onSeek, recording, strings } = props
  const [isPlaying, setIsPlaying] = useState(false)
  useEffect(() => {
    if (!isPlaying) return
    const timer = setTimeout(() => {
      const next = Math.min(recording.length, at + STEP)
      onSeek(next)
      if (next === recording.length) setIsPlaying(false)
    }, STEP)
    return () => clearTimeout(timer)
  }, [isPlaying, at])
  return (
    <div class="strip player">
      <output>{strings.recording(Format.time(recording.startedAt + at))}</output>
      <button type="button" aria-pressed={isPlaying} onClick={() => setIsPlaying(!isPlaying)}>
        {isPlaying ? strings.pause : strings.play}
      </button>
      <input
        type="range"
        min={0}
        max={recording.length}
        value={at}
        aria-label={strings.position}
        onInput={(event) => onSeek(Number(event.currentTarget.value))}
      />
      <button type="button" onClick={onClose} aria-label={strings.close}>
        ×
      </button>
    </div>
  )
}
