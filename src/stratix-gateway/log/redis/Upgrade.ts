/**
 * Carries a log of an older format over, at the start of the first gateway that finds it.
 *
 * A format changes where versions must not run side by side. So it waits until no gateway of the older one is running, and Redis does it as one step:
 * a crash leaves the log as it was, or as it is to be.
 */
import * as Effect from "effect/Effect"
import { FORMAT, GATEWAY_LIFETIME } from "./AppendScript.js"
import { type Connection, RedisFailure } from "./Connection.js"

/** Time for Redis: some 20 µs for each key and event. */
const PATIENCE = "60 seconds"

/** Of the steps, each leads from its format to the next. */
const OLDEST = 1

const CARRY_OVER = `#!lua
local META, LOG, LAST, GONE, MARK, GATEWAYS = unpack(KEYS)
local call = redis.call
local found, time = ARGV[1], call('TIME')
if call('HGET', META, 'format') ~= found then return 'done' end
local now = ARGV[2] ~= '' and tonumber(ARGV[2]) or time[1] * 1000 + math.floor(time[2] / 1000)
if call('ZCOUNT', GATEWAYS, now - ${GATEWAY_LIFETIME}, '+inf') > 0 then return 'running' end

local steps = {}

-- Format 2 has tenants, keys of the author's own, and in the line of what a key had before its command beside its agent.
steps[1] = function()
  local function carried(packed)
    local numbers, from, header, json = string.match(packed, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
    local fields = cjson.decode(header)
    if from ~= '' then from = string.sub(from, 1, -2) .. ',' .. cjson.encode(fields[3]) .. ']' end
    header = string.sub(header, 1, -2) .. ',"default",null]'
    return table.concat({numbers, from, header, json}, '\\n'), type(fields[4]) == 'string' and fields[4] or fields[5][1]
  end
  for _, key in ipairs(call('HKEYS', LAST)) do call('HSET', LAST, key, (carried(call('HGET', LAST, key)))) end
  local entries = call('XRANGE', LOG, '-', '+')
  call('DEL', LOG)
  for _, entry in ipairs(entries) do call('XADD', LOG, entry[1], 'e', (carried(entry[2][2]))) end
  for _, name in ipairs(call('ZRANGE', GONE, 0, -1)) do
    local mark = call('HGET', MARK, name)
    local packed, target = carried(string.sub(mark, 2))
    local seq = call('ZSCORE', GONE, name)
    call('ZREM', GONE, name)
    call('HDEL', MARK, name)
    call('ZADD', GONE, seq, name .. ':' .. target)
    call('HSET', MARK, name .. ':' .. target, string.sub(mark, 1, 1) .. packed)
  end
end

-- Format 3 remembers revocations. There are none yet, but gateways of format 2 would not hear of one.
steps[2] = function() end

for format = tonumber(found), ${FORMAT - 1} do steps[format]() end
call('HSET', META, 'format', '${FORMAT}')
return 'done'
`

const KEYS = ["meta", "log", "last", "gone", "mark", "gateways"]

/** Carries the log of a namespace over, if it is of an older format. `key`: the name of a key in Redis. `time`: in place of Redis' own clock. */
export const carryOver = (
  connection: Connection,
  key: (name: string) => string,
  time: number | undefined
): Effect.Effect<void, RedisFailure> =>
  Effect.gen(function* () {
    const found = yield* connection.send(["HGET", key("meta"), "format"])
    const format = Number(found)
    if (found === null || !(format >= OLDEST && format < FORMAT)) return
    const keys = KEYS.map(key)
    const now = time === undefined ? "" : String(time)
    const said = yield* connection.send(
      ["EVAL", CARRY_OVER, String(keys.length), ...keys, String(found), now],
      PATIENCE
    )
    if (said === "running") {
      return yield* new RedisFailure({
        reason: "Replied",
        detail: `its log has format ${format}, and gateways of that format are running or ended less than ${GATEWAY_LIFETIME / 1000} s ago: stop them, and it is carried over to format ${FORMAT}`
      })
    }
    yield* Effect.logInfo(`the log had format ${format}, and has format ${FORMAT} now`)
  })
