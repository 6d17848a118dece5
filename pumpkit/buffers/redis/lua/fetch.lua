-- Hand out entries to a consumer: first those that are its own already, then what nobody was given. It looks for the
-- first ones each time: an answer may have been lost, or an earlier call may have been carried out late.
-- One entry is always handed out; more only while the bounds are not reached.
-- KEYS: log, meta, pump, locks, accepted
-- ARGV: name, consumer, lease, token, id of the log, records, bytes, last entry in hand ('0-0' for none), entries
-- Returns a state, records that have vanished, and for each entry: id, frame, records, whether it was handed out before.
local log, meta, pump, locks, accepted = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, consumer = ARGV[1], ARGV[2]
if not is_log(log, meta, ARGV[5]) then
  return {'other'}
end
if not held(locks, ARGV[3], ARGV[4]) then
  return {'fenced'}
end
local left, bytes, most = tonumber(ARGV[6]), tonumber(ARGV[7]), 2 + ARGV[9]
local reply = {'ok', 0}

local function take(entry, again)
  local frame, count = field(entry[2], 'f') or '', records(entry[2])
  reply[#reply + 1] = {entry[1], frame, text(count), again}
  left = left - count
  bytes = bytes - #frame
end

local function has_room()
  return left > 0 and bytes > 0 and #reply < most
end

local after = ARGV[8]
while has_room() do
  local found = redis.pcall('XREADGROUP', 'GROUP', name, consumer, 'COUNT', 1, 'STREAMS', log, after)
  if found.err then
    return {'lost'}
  end
  local entry = found[1][2][1]
  if not entry then
    break
  end
  if entry[2] then
    take(entry, 1)
  else
    redis.call('XACK', log, name, entry[1]) -- removed from the log by somebody
  end
  after = entry[1]
end
local again = number(pump, 'again') -- up to here, those may be again that the group knows nothing of
while has_room() do
  local found = redis.pcall('XREADGROUP', 'GROUP', name, consumer, 'COUNT', 1, 'STREAMS', log, '>')
  if not found then
    break
  end
  if found.err then
    return {'lost'}
  end
  local entry = found[1][2][1]
  take(entry, position(entry[1]) <= again and 1 or 0)
end
if #reply == 2 and ARGV[8] == '0-0' and redis.call('XPENDING', log, name)[1] == 0 then
  -- Everything in the log is passed. What the ledger still misses has been removed by somebody; what it has too much was
  -- put in.
  local vanished = number(meta, 'stored') - accounted(pump)
  if vanished ~= 0 then
    redis.call('HINCRBY', pump, vanished > 0 and 'skipped' or 'began', text(vanished))
  end
  reply[2] = text(vanished)
  redis.call('DEL', accepted)
end
return reply
