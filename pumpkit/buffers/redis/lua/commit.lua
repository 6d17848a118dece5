-- Move a pump on: acknowledge entries, count what became of their records, keep dead letters.
-- KEYS: log, meta, pump, locks, accepted, dead, records, order, marks, marked
-- ARGV: name, consumer, lease, token, id of the log, nonce, position, delivered, filtered, dead, redelivered, skipped,
--       number of entries, their ids, then for each dead letter: id, its place in the order, what is known, its record
local log, meta, pump, locks, accepted = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local dead, records, order, marks, marked = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local name, consumer, nonce = ARGV[1], ARGV[2], ARGV[6]
if redis.call('HGET', pump, 'done:' .. consumer) == nonce then
  return {'ok'} -- the answer was lost, and it is asked again
end
if not held(locks, ARGV[3], ARGV[4]) then
  return {'fenced'}
end
local last = 13 + ARGV[13]
begin_to_write(pump)
if is_log(log, meta, ARGV[5]) then -- else the entries are of a log that is no more
  for i = 14, last do
    local pending = redis.pcall('XPENDING', log, name, ARGV[i], ARGV[i], 1, consumer)
    if pending.err or #pending == 0 then
      return {'lost'}
    end
  end
  for i = 14, last do
    redis.call('XACK', log, name, ARGV[i])
  end
  local at = math.max(number(pump, 'position'), tonumber(ARGV[7]))
  local pending = redis.call('XPENDING', log, name)
  local floor = at
  if pending[1] > 0 then
    floor = math.min(at, position(pending[2]) - 1)
  end
  redis.call('HSET', pump, 'position', text(at), 'floor', text(floor))
end
for i = 14, last do
  redis.call('HDEL', accepted, text(position(ARGV[i])))
end
for i, count in ipairs({'delivered', 'filtered', 'dead', 'redelivered', 'skipped'}) do
  redis.call('HINCRBY', pump, count, ARGV[7 + i])
end
for i = last + 1, #ARGV, 4 do
  local id, place = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', dead, id)
  if old then
    local before = string.match(old, '^(%d+)|') .. ':' .. id
    redis.call('ZREM', order, before)
    redis.call('ZREM', marked, before)
    redis.call('HDEL', marks, id)
    redis.call('HINCRBY', pump, 'dead_bytes', 0 - redis.call('HSTRLEN', records, id))
  end
  redis.call('HSET', dead, id, ARGV[i + 2])
  redis.call('HSET', records, id, ARGV[i + 3])
  redis.call('ZADD', order, 0, place)
  redis.call('HINCRBY', pump, 'dead_bytes', #ARGV[i + 3])
end
redis.call('HSET', pump, 'done:' .. consumer, nonce)
return {'ok'}
