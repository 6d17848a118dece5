-- Finish dead letters that somebody marked.
-- KEYS: pump, locks, dead, records, order, marks, marked
-- ARGV: lease, token, nonce, consumer, number of those that are gone, then for each of them: id, its place in the order,
--       records that now count as delivered, the epoch they were counted in; then for each that failed again: id, its
--       place, its new place, what is known, its record
local pump, locks, dead, records, order, marks, marked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
if redis.call('HGET', pump, 'done:' .. ARGV[4]) == ARGV[3] then
  return 1
end
if not held(locks, ARGV[1], ARGV[2]) then
  return 0
end
begin_to_write(pump)
local epoch = redis.call('HGET', pump, 'epoch') or '0'
local last = 5 + 4 * ARGV[5]
for i = 6, last, 4 do
  local id, place, delivered = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local size = redis.call('HSTRLEN', records, id)
  if redis.call('HDEL', dead, id) == 1 then
    redis.call('HDEL', records, id)
    redis.call('ZREM', order, place)
    redis.call('HINCRBY', pump, 'dead_bytes', 0 - size)
    if ARGV[i + 3] == epoch then
      redis.call('HINCRBY', pump, 'dead', 0 - delivered)
      redis.call('HINCRBY', pump, 'delivered', delivered)
    end
  end
  redis.call('HDEL', marks, id)
  redis.call('ZREM', marked, place)
end
for i = last + 1, #ARGV, 5 do
  local id = ARGV[i]
  if redis.call('HEXISTS', dead, id) == 1 then
    redis.call('HINCRBY', pump, 'dead_bytes', #ARGV[i + 4] - redis.call('HSTRLEN', records, id))
    redis.call('HSET', dead, id, ARGV[i + 3])
    redis.call('HSET', records, id, ARGV[i + 4])
    redis.call('ZREM', order, ARGV[i + 1])
    redis.call('ZADD', order, 0, ARGV[i + 2])
  end
  redis.call('HDEL', marks, id)
  redis.call('ZREM', marked, ARGV[i + 1])
end
redis.call('HSET', pump, 'done:' .. ARGV[4], ARGV[3])
return 1
