-- Close a pump's cursor: say up to where frames may have been handed out, and give the lease back.
-- KEYS: log, pump, locks   ARGV: name, consumer, lease, token, suspect ('' if it is shared)
local log, pump, locks = KEYS[1], KEYS[2], KEYS[3]
if not held(locks, ARGV[3], ARGV[4]) then
  return 0
end
begin_to_write(pump)
if redis.call('EXISTS', pump) == 1 and ARGV[5] ~= '' then
  redis.call('HSET', pump, 'suspect', ARGV[5])
end
local pending = redis.pcall('XPENDING', log, ARGV[1], '-', '+', 1, ARGV[2])
if not pending.err and #pending == 0 then -- a consumer that goes takes what it had in hand with it
  redis.call('XGROUP', 'DELCONSUMER', log, ARGV[1], ARGV[2])
  redis.call('HDEL', pump, 'done:' .. ARGV[2])
end
redis.call('HDEL', locks, ARGV[3])
return 1
