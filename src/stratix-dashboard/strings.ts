/** Every text of the page, in each language it speaks. */
const en = {
  title: "Stratix agents",
  live: "Live",
  empty: "Live: no agents yet",
  behind: (seconds: string) => `Behind by ${seconds}`,
  stale: (time: string) => `Stale: as of ${time}`,
  restarted: "Gateway restarted: waiting for news",
  catchingUp: "Catching up…",
  reconnecting: (attempt: number) => `Reconnecting (attempt ${attempt})`,
  connecting: "Connecting…",
  closed: (detail: string) => `Closed: ${detail}`,
  retryNow: "Retry now",
  agents: "Agents",
  commands: "Commands",
  feed: "Feed",
  connections: "Connections",
  online: "Online",
  offline: "Offline",
  busy: "Busy",
  error: "Error",
  pending: "Pending",
  running: "Running",
  success: "Finished",
  failed: "Failed",
  all: "All",
  search: "Search agents",
  searchFeed: "Search events",
  pause: "Pause",
  resume: (count: number) => `Resume (${count} new)`,
  noType: "No type",
  noCommands: "No commands",
  progress: "Progress",
  duration: "Duration",
  result: "Result",
  requestId: "Request",
  raw: "Raw event",
  close: "Close",
  token: "Access token",
  tokenWhy: "This gateway asks for a token.",
  tokenWrong: "The gateway refused this token.",
  tokenKeep: "Keep it for this tab",
  connect: "Connect",
  emptyTitle: "Nothing to see yet",
  emptyHint: "Publish the first status, and it appears here:",
  demoHint: "Or start the demo:",
  heatMap: (count: number) => `${count} agents: each square is one. Arrow keys select.`,
  shown: (shown: number, total: number) => `${shown} of ${total}`,
  principal: "Principal",
  filter: "Filter",
  lag: "Lag",
  screenLag: "Screen lag",
  roundTrip: "Round trip",
  language: "中文"
}

/** The texts in one language. */
export type Strings = typeof en

const zh: Strings = {
  title: "Stratix 智能体",
  live: "实时",
  empty: "实时：还没有智能体",
  behind: (seconds) => `落后 ${seconds}`,
  stale: (time) => `已过时：${time} 的状态`,
  restarted: "网关已重启：等待新状态",
  catchingUp: "正在同步…",
  reconnecting: (attempt) => `正在重连（第 ${attempt} 次）`,
  connecting: "正在连接…",
  closed: (detail) => `已关闭：${detail}`,
  retryNow: "立即重试",
  agents: "智能体",
  commands: "命令",
  feed: "事件",
  connections: "连接",
  online: "在线",
  offline: "离线",
  busy: "忙碌",
  error: "错误",
  pending: "等待中",
  running: "运行中",
  success: "已完成",
  failed: "失败",
  all: "全部",
  search: "搜索智能体",
  searchFeed: "搜索事件",
  pause: "暂停",
  resume: (count) => `继续（${count} 条新事件）`,
  noType: "无类型",
  noCommands: "没有命令",
  progress: "进度",
  duration: "用时",
  result: "结果",
  requestId: "请求",
  raw: "原始事件",
  close: "关闭",
  token: "访问令牌",
  tokenWhy: "此网关需要令牌。",
  tokenWrong: "网关拒绝了此令牌。",
  tokenKeep: "在此标签页中保留",
  connect: "连接",
  emptyTitle: "还没有内容",
  emptyHint: "发布第一个状态，它就会显示在这里：",
  demoHint: "或者启动演示：",
  heatMap: (count) => `${count} 个智能体：每个方块是一个。方向键选择。`,
  shown: (shown, total) => `${shown} / ${total}`,
  principal: "主体",
  filter: "过滤器",
  lag: "延迟",
  screenLag: "屏幕延迟",
  roundTrip: "往返",
  language: "English"
}

/** The languages of the page. */
export const languages = { en, zh } as const

/** A language of the page. */
export type Language = keyof typeof languages

/** The language a browser asks for. */
export const preferred = (tags: ReadonlyArray<string>): Language =>
  tags
    .find((tag) => /^(en|zh)\b/i.test(tag))
    ?.toLowerCase()
    .startsWith("zh") === true
    ? "zh"
    : "en"
