-- Take a lease, unless it or one that stands in its way is held; return 'ok', or who holds which.
-- KEYS: locks   ARGV: lease, token, holder, microseconds for which it is taken, microseconds after whose end one is
--       forgotten, then pairs of a lease and its token whose holder is known dead
-- A lease `pump:NAME` stands in the way of every `pump:NAME@CONSUMER`, and the other way round.
local locks, name = KEYS[1], ARGV[1]
local time = now()

local function living(other)
  local token, till, holder = bounded(locks, other, ARGV[4])
  if not token or token == '' or token == ARGV[2] or till <= time then
    return nil
  end
  for i = 6, #ARGV, 2 do
    if ARGV[i] == other and ARGV[i + 1] == token then
      return nil
    end
  end
  return {'busy', other, token, holder}
end

local busy = living(name)
if busy then
  return busy
end
local alone = string.match(name, '^(pump:[^@]+)@')
if alone then
  busy = living(alone)
  if busy then
    return busy
  end
  if redis.call('HEXISTS', locks, alone) == 1 then
    redis.call('HDEL', locks, alone)
  end
elseif string.sub(name, 1, 5) == 'pump:' then
  local prefix = name .. '@'
  local fields = redis.call('HKEYS', locks)
  for _, other in ipairs(fields) do
    if string.sub(other, 1, #prefix) == prefix then
      busy = living(other)
      if busy then
        return busy
      end
    end
  end
  for _, other in ipairs(fields) do
    if string.sub(other, 1, #prefix) == prefix then
      redis.call('HDEL', locks, other)
    end
  end
end
if string.sub(name, 1, 7) == 'runner:' then -- seldom enough
  for _, other in ipairs(redis.call('HKEYS', locks)) do
    local _, till = lease(locks, other)
    if till and till + ARGV[5] < time then
      redis.call('HDEL', locks, other)
    end
  end
end
begin_to_write(locks)
redis.call('HSET', locks, name, ARGV[2] .. '|' .. text(time + ARGV[4]) .. '|' .. ARGV[3])
return {'ok'}
