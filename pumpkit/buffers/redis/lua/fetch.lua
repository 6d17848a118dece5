-- Hand out entries to a consumer: first those that are its own already, then what nobody was given. It looks for the
-- first ones each time: an answer may have been lost, or an earlier call may have been carried out late.
-- One entry is always handed out; more only while the bounds are not reached.
-- KEYS: log, meta, pump, locks
-- ARGV: name, consumer, lease, token, id of the log, records, bytes, last entry in hand ('0-0' for none)
-- Returns a state, records that have vanished, and for each entry: id, frame, records, whether it was handed out before.
local log, meta, pump, locks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, consumer = ARGV[1], ARGV[2]
if not is_log(log, meta, ARGV[5]) then
  return {'other'}
end
if not held(locks, ARGV[3], ARGV[4]) then
  return {'fenced'}
end
local records, bytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local reply = {'ok', 0}

local function take(entry, again)
  local frame, count = field(entry[2], 'f') or '', field(entry[2], 'n') or '0'
  reply[#reply + 1] = {entry[1], frame, count, again}
  records = records - count
  bytes = bytes - #frame
end

local after = ARGV[8]
while records > 0 and bytes > 0 do
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
while records > 0 and bytes > 0 do
  local found = redis.pcall('XREADGROUP', 'GROUP', name, consumer, 'COUNT', 1, 'STREAMS', log, '>')
  if not found then
    break
  end
  if found.err then
    return {'lost'}
  end
  take(found[1][2][1], 0)
end
if #reply == 2 and ARGV[8] == '0-0' and redis.call('XPENDING', log, name)[1] == 0 then
  -- Everything in the log is passed. What the ledger still misses has been removed by somebody.
  local accounted = number(pump, 'began')
  for _, count in ipairs({'delivered', 'filtered', 'dead', 'skipped'}) do
    accounted = accounted + number(pump, count)
  end
  local vanished = number(meta, 'stored') - accounted
  if vanished > 0 then
    redis.call('HINCRBY', pump, 'skipped', text(vanished))
    reply[2] = text(vanished)
  end
end
return reply
