-- Take over what dead consumers of a pump had in hand; return how many entries.
-- KEYS: log, locks   ARGV: pump, consumer, its lease, its token, then for each dead one: consumer, its lease, its token
local log, locks = KEYS[1], KEYS[2]
if not held(locks, ARGV[3], ARGV[4]) then
  return -1
end
local claimed = 0
for i = 5, #ARGV, 3 do
  local consumer, token = ARGV[i], lease(locks, ARGV[i + 1])
  if (token or '') == ARGV[i + 2] then -- still the one that was found dead
    redis.call('HDEL', locks, ARGV[i + 1]) -- from now on it can commit nothing
    while true do
      local pending = redis.call('XPENDING', log, ARGV[1], '-', '+', 100, consumer)
      if #pending == 0 then
        break
      end
      local ids = {}
      for _, entry in ipairs(pending) do
        ids[#ids + 1] = entry[1]
      end
      local command = {'XCLAIM', log, ARGV[1], ARGV[2], 0}
      for _, entry in ipairs(ids) do
        command[#command + 1] = entry
      end
      command[#command + 1] = 'JUSTID'
      redis.call(unpack(command))
      local left = redis.call('XPENDING', log, ARGV[1], ids[1], ids[#ids], 100, consumer)
      for _, entry in ipairs(left) do
        redis.call('XACK', log, ARGV[1], entry[1]) -- not claimed: it is no longer in the log
      end
      claimed = claimed + #ids
    end
    redis.call('XGROUP', 'DELCONSUMER', log, ARGV[1], consumer)
  end
end
return claimed
