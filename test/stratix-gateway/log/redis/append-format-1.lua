#!lua
local META, LOG, LAST, EVICT, FIN, CHAIN, GONE, MARK, DUE, RUN, IDEM, IDEMDUE, SIZES, GATEWAYS, WRITER = unpack(KEYS)
local call = redis.call
local function fmt(n) return string.format('%.0f', n) end

local time = call('TIME')
local now = ARGV[1] ~= '' and tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
local format, settings, writer, batch, deadline, newEpoch = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local maxEvents, maxCharacters, maxKeys, maxKeyCharacters = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local retention, maxFinished, maxMarks = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local idemLifetime, maxIdemEvents = tonumber(ARGV[15]), tonumber(ARGV[16])
local pause = tonumber(ARGV[17])
local FIRST = 18

local m = call('HMGET', META, 'format', 'settings', 'reign', 'epoch', 'seq', 'keyless', 'at', 'characters', 'state', 'forgotten', 'shift', 'called', 'epochs', 'id', 'idem')
if m[1] and m[1] ~= format then return {'format', m[1]} end
-- Before the deadline: what was done in time has its places, however late its writer asks for them.
if batch > 0 then
  local stored = call('GET', WRITER)
  if stored then
    local number, places = string.match(stored, '^(%d+)|(.*)$')
    if tonumber(number) == batch then return {'ok', m[4], m[5], m[7], '', places, '0', '0', '0', '0', m[14]} end
    if tonumber(number) > batch then return {'stale'} end
  end
end
if deadline and now > deadline then return {'late'} end
now = math.max(now, tonumber(m[7] or 0))

if batch == 0 then
  call('ZREMRANGEBYSCORE', GATEWAYS, '-inf', now - 10000)
  call('ZADD', GATEWAYS, now, writer)
end
if m[2] ~= settings then
  if m[2] then
    local running = call('ZRANGEBYSCORE', GATEWAYS, now - 10000, '+inf')
    for _, other in ipairs(running) do
      if other ~= writer then
        call('ZREM', GATEWAYS, writer)
        return {'settings', m[2]}
      end
    end
  end
  call('HSET', META, 'format', format, 'settings', settings)
end

local seq, keyless = tonumber(m[5] or 0), tonumber(m[6] or 0)
local characters, state, forgotten = tonumber(m[8] or 0), tonumber(m[9] or 0), tonumber(m[10] or 0)
local shift = tonumber(m[11] or 0)
local called = tonumber(m[12] or now)
local idemEvents = tonumber(m[15] or 0)
if now - called > pause then shift = shift + (now - called) end

local reign = string.match(call('INFO', 'replication'), 'master_replid:(%w+)')
local epoch, id = m[4], m[14]
if not epoch or m[3] ~= reign then
  epoch = newEpoch
  local number = tonumber(m[13] or 0) + 1
  call('ZADD', CHAIN, seq, string.format('%08d:%s', number, epoch))
  call('ZREMRANGEBYRANK', CHAIN, 0, -129)
  if not id then id = epoch end
  call('HSET', META, 'reign', reign, 'epoch', epoch, 'epochs', number, 'id', id)
end

local NONE = {}
local dropped = {finished = 0, keys = 0, leases = 0}
local own = 0

local function shape(packed)
  local at, length, flags = string.match(packed, '^%d+ %d+ %S+ (%d+) (%d+) (%d+)')
  return tonumber(at), tonumber(length), tonumber(flags)
end
local function headerOf(packed) return cjson.decode((string.match(packed, '^[^\n]*\n[^\n]*\n([^\n]*)\n'))) end
local function nameOf(agent, command)
  return #agent .. ':' .. agent .. ':' .. command
end
local function text(value) return type(value) == 'string' and value or '' end

local function forget(key, packed)
  local _, length, flags = shape(packed)
  state = state - length
  if flags % 2 == 1 then call('ZREM', FIN, key) end
  if flags >= 2 then
    local header = headerOf(packed)
    call('ZREM', RUN, nameOf(text(header[2]), text(header[3])))
  end
end

local function remember(name, value)
  call('ZADD', GONE, seq, name)
  call('HSET', MARK, name, value)
  while call('ZCARD', GONE) > maxMarks do
    local oldest = call('ZPOPMIN', GONE)
    call('HDEL', MARK, oldest[1])
    forgotten = math.max(forgotten, tonumber(oldest[2]))
  end
end

-- flags: 1 finished, 2 running
local function put(header, json, key, removes, flags, length, agent, command, lease)
  seq = seq + 1
  if key == '' and removes == '' then keyless = keyless + 1 end
  local ended = removes ~= '' and cjson.decode(removes) or NONE
  local target = key ~= '' and key or ended[1]
  local before = target and call('HGET', LAST, target)
  local moved, from = '', nil
  if before and string.sub(target, 1, 8) == 'command:' then
    from = headerOf(before)[2]
    if text(from) ~= agent then moved = cjson.encode({from}) end
  end
  local found = {}
  for _, name in ipairs(ended) do
    local held = name == target and before or call('HGET', LAST, name)
    if held then found[#found + 1] = {name, held} end
  end
  local packed = table.concat({fmt(seq), fmt(keyless), epoch, fmt(now), length, flags, #found > 0 and '1' or '0'}, ' ')
    .. '\n' .. moved .. '\n' .. header .. '\n' .. json
  call('XADD', LOG, 'MAXLEN', '~', maxEvents, fmt(seq) .. '-' .. fmt(keyless), 'e', packed)

  for _, held in ipairs(found) do
    forget(held[1], held[2])
    call('HDEL', LAST, held[1])
    call('ZREM', EVICT, held[1])
    if string.sub(held[1], 1, 6) == 'agent:' then call('ZREM', DUE, held[1]) end
  end
  if moved ~= '' then remember(nameOf(text(from), command), 'd' .. packed) end
  if #found > 0 then remember(nameOf(agent, command), 'r' .. packed) end

  if key ~= '' then
    if before then forget(key, before) end
    call('HSET', LAST, key, packed)
    state = state + tonumber(length)
    local isAgent = string.sub(key, 1, 6) == 'agent:'
    if string.sub(key, 1, 11) ~= 'agent-info:' or call('HEXISTS', LAST, 'agent:' .. string.sub(key, 12)) == 0 then
      call('ZADD', EVICT, seq, key)
    end
    -- Said once and never again, it is always old: it leaves with the agent's status.
    if isAgent and not before then call('ZREM', EVICT, 'agent-info:' .. string.sub(key, 7)) end
    local bits = tonumber(flags)
    if bits % 2 == 1 then call('ZADD', FIN, seq, key) end
    if bits >= 2 then call('ZADD', RUN, 0, nameOf(agent, command)) end
    if isAgent then
      if lease ~= '' then call('ZADD', DUE, now - shift + tonumber(lease), key)
      elseif before then call('ZREM', DUE, key) end
    end
  end
  local mark = math.floor(characters / 65536)
  characters = characters + tonumber(length)
  if math.floor(characters / 65536) > mark then call('RPUSH', SIZES, fmt(seq) .. ':' .. fmt(characters)) end
end

-- Of the publication that is next to be forgotten.
local function forgetIdem()
  local idem = call('ZPOPMIN', IDEMDUE)[1]
  idemEvents = idemEvents - #string.match(call('HGET', IDEM, idem), '(%d+)$')
  call('HDEL', IDEM, idem)
end

-- Each element: idempotency key, number of events, and the events; a number of -1 is a renewal of the agent that follows.
local places = {}
local i = FIRST
while i <= #ARGV do
  local idem, count = ARGV[i], tonumber(ARGV[i + 1])
  i = i + 2
  if count == -1 then
    local key = 'agent:' .. ARGV[i]
    local held = call('ZSCORE', DUE, key) and call('HGET', LAST, key)
    local lease = held and headerOf(held)[8]
    if type(lease) == 'number' then call('ZADD', DUE, now - shift + lease, key) end
    places[#places + 1] = type(lease) == 'number' and '1' or '0'
    i = i + 1
  else
    local known = idem ~= '' and call('HGET', IDEM, idem)
    if known then
      places[#places + 1] = known
    else
      local place = epoch .. ' ' .. fmt(seq) .. ' ' .. fmt(keyless)
      local bits = {}
      for e = 0, count - 1 do
        local a = i + e * 9
        bits[#bits + 1] = ARGV[a + 2] == '' and ARGV[a + 3] == '' and '1' or '0'
        put(ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5], ARGV[a + 6], ARGV[a + 7], ARGV[a + 8])
      end
      place = place .. ' ' .. table.concat(bits)
      places[#places + 1] = place
      if idem ~= '' and count > 0 then
        call('HSET', IDEM, idem, place)
        call('ZADD', IDEMDUE, now + idemLifetime, idem)
        idemEvents = idemEvents + count
        while idemEvents > maxIdemEvents do forgetIdem() end
      end
    end
    i = i + count * 9
  end
end
local answer = table.concat(places, ',')
if batch > 0 then call('SET', WRITER, fmt(batch) .. '|' .. answer, 'EX', 600) end

local function quote(value) return (string.gsub(cjson.encode(value), '\\/', '/')) end
local function say(eventType, payload, agent, command, key, removes, flags, status)
  own = own + 1
  local id = 'stratix-req-' .. fmt(now) .. '-log-' .. fmt(seq + 1)
  local json = '{"eventType":"' .. eventType .. '","payload":' .. payload .. ',"timestamp":' .. fmt(now) .. ',"requestId":"' .. id .. '"}'
  local header = '["' .. eventType .. '",' .. quote(agent) .. ',' .. (command ~= '' and quote(command) or 'null') .. ','
    .. (key ~= '' and quote(key) or 'null') .. ',' .. (removes ~= '' and removes or '[]') .. ',' .. (status and quote(status) or 'null') .. ',' .. (flags == '1' and 'true' or 'false')
    .. ',null,false,' .. fmt(now) .. ',"' .. id .. '"]'
  put(header, json, key, removes, flags, #json, agent, command, '')
end
local function remove(key)
  local header = headerOf(call('HGET', LAST, key))
  local agent, command = text(header[2]), text(header[3])
  if string.sub(key, 1, 8) == 'command:' then
    say('stratix:command_remove', '{"commandId":' .. quote(command) .. ',"agentId":' .. quote(agent) .. '}', agent, command, '', '[' .. quote(key) .. ']', '0')
  else
    say('stratix:agent_remove', '{"agentId":' .. quote(agent) .. '}', agent, '', '', '[' .. quote('agent:' .. agent) .. ',' .. quote('agent-info:' .. agent) .. ']', '0')
  end
end
local function expire(key)
  local agent = string.sub(key, 7)
  local header = headerOf(call('HGET', LAST, key))
  if header[9] == true then
    local range = #agent .. ':' .. agent .. ':'
    local commands = {}
    for _, name in ipairs(call('ZRANGEBYLEX', RUN, '[' .. range, '[' .. range .. '\255')) do
      local command = string.sub(name, #range + 1)
      local held = call('HGET', LAST, 'command:' .. command)
      commands[#commands + 1] = {command, tonumber(string.match(held, '^%d+'))}
    end
    table.sort(commands, function(a, b) return a[2] < b[2] end)
    for _, c in ipairs(commands) do
      say('stratix:command_status_update', '{"commandId":' .. quote(c[1]) .. ',"agentId":' .. quote(agent) .. ',"commandStatus":"failed","error":"lease expired"}', agent, c[1], 'command:' .. c[1], '', '1', 'failed')
    end
  end
  say('stratix:agent_status_update', '{"agentId":' .. quote(agent) .. ',"status":"offline","reason":"lease expired"}', agent, '', key, '', '0', 'offline')
  dropped.leases = dropped.leases + 1
end

local nextDue = ''
while own < 256 do
  nextDue = ''
  local lease = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  local oldest = call('ZRANGE', FIN, 0, 0)[1]
  local agesAt = oldest and shape(call('HGET', LAST, oldest)) + retention
  if lease[1] and tonumber(lease[2]) + shift <= now then
    expire(lease[1])
  elseif oldest and (agesAt <= now or call('ZCARD', FIN) > maxFinished) then
    remove(oldest)
    dropped.finished = dropped.finished + 1
  else
    local count = call('HLEN', LAST)
    local victim = (count > maxKeys or (state > maxKeyCharacters and count > 1)) and call('ZRANGE', EVICT, 0, 0)[1]
    if not victim then
      local due = math.min(lease[1] and tonumber(lease[2]) + shift or math.huge, agesAt or math.huge)
      if due < math.huge then nextDue = fmt(due) end
      break
    end
    remove(victim)
    dropped.keys = dropped.keys + 1
  end
  nextDue = fmt(now)
end

for _ = 1, 256 do
  local oldest = call('ZRANGE', IDEMDUE, 0, 0, 'WITHSCORES')
  if not oldest[1] or tonumber(oldest[2]) > now then break end
  forgetIdem()
end
while true do
  local size = call('LINDEX', SIZES, 0)
  if not size then break end
  local upTo, sum = string.match(size, '^(%d+):(%d+)$')
  if characters - tonumber(sum) < maxCharacters then break end
  call('LPOP', SIZES)
  call('XTRIM', LOG, 'MINID', '~', upTo)
end
call('HSET', META, 'seq', fmt(seq), 'keyless', fmt(keyless), 'at', fmt(now), 'characters', fmt(characters), 'state', fmt(state),
  'forgotten', fmt(forgotten), 'shift', fmt(shift), 'called', fmt(now), 'idem', fmt(idemEvents))
return {'ok', epoch, fmt(seq), fmt(now), nextDue, answer, tostring(dropped.finished), tostring(dropped.keys), tostring(dropped.leases), tostring(own), id}
