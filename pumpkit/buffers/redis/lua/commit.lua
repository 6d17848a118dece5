-- Move a pump on: acknowledge entries, count what became of their records, keep dead letters.
-- KEYS: log, meta, pump, locks, accepted, dead, records, order, marks, marked
-- ARGV: name, consumer, lease, token, id of the log, nonce, position, delivered, filtered, dead, redelivered, skipped,
--       number of entries, their ids in order, then for each dead letter: id, its place in the order, what is known, its record
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
  local mine, from = {}, ARGV[14]
  repeat
    local pending = redis.pcall('XPENDING', log, name, from, ARGV[last], 100, consumer)
    if pending.err then
      return {'lost'}
    end
    for _, entry in ipairs(pending) do
      mine[entry[1]] = true
      from = '(' .. entry[1]
    end
  until #pending < 100
  for i = 14, last do
    if not mine[ARGV[i]] then
      return {'lost'}
    end
  end
  for i = 14, last, 500 do
    redis.call('XACK', log, name, unpack(ARGV, i, math.min(i + 499, last)))
  end
  local at = math.max(number(pump, 'position'), tonumber(ARGV[7]))
  local pending = redis.call('XPENDING', log, name)
  local floor = at
  if pending[1] > 0 then
    floor = math.min(at, position(pending[2]) - 1)
  end
  redis.call('HSET', pump, 'position', text(at), 'floor', text(floor))
end
if redis.call('HGET', pump, 'id') == ARGV[5] then -- else another cursor has begun a new ledger
  if redis.call('EXISTS', accepted) == 1 then
    for i = 14, last do
      redis.call('HDEL', accepted, text(position(ARGV[i])))
    end
  end
  for i, count in ipairs({'delivered', 'filtered', 'dead', 'redelivered', 'skipped'}) do
    redis.call('HINCRBY', pump, count, ARGV[7 + i])
  end
end
local grown = 0
for i = last + 1, #ARGV, 400 do -- a hundred letters at a time, each of another id
  local ids, facts, bodies, places = {}, {}, {}, {}
  for j = i, math.min(i + 399, #ARGV), 4 do
    local id = ARGV[j]
    ids[#ids + 1] = id
    facts[#facts + 1], facts[#facts + 2] = id, ARGV[j + 2]
    bodies[#bodies + 1], bodies[#bodies + 2] = id, ARGV[j + 3]
    places[#places + 1], places[#places + 2] = 0, ARGV[j + 1]
    grown = grown + #ARGV[j + 3]
  end
  for j, old in ipairs(redis.call('HMGET', dead, unpack(ids))) do
    if old then
      local before = string.match(old, '^(%d+)|') .. ':' .. ids[j]
      redis.call('ZREM', order, before)
      redis.call('ZREM', marked, before)
      redis.call('HDEL', marks, ids[j])
      grown = grown - redis.call('HSTRLEN', records, ids[j])
    end
  end
  redis.call('HSET', dead, unpack(facts))
  redis.call('HSET', records, unpack(bodies))
  redis.call('ZADD', order, unpack(places))
end
if grown ~= 0 then
  redis.call('HINCRBY', pump, 'dead_bytes', text(grown))
end
redis.call('HSET', pump, 'done:' .. consumer, nonce)
return {'ok'}
