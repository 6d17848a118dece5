-- Take over what dead consumers of a pump had in hand, so many entries at most; return how many (-1 if the lease is not
-- held), the last one's position, and whether that was all.
-- KEYS: log, locks, pump
-- ARGV: pump, consumer, its lease, its token, entries, then for each dead one: consumer, its lease, its token
local log, locks, pump, name = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
if not held(locks, ARGV[3], ARGV[4]) then
  return {-1, '0', 1}
end
local claimed, last, room = 0, 0, tonumber(ARGV[5])
for i = 6, #ARGV, 3 do
  local consumer, token = ARGV[i], lease(locks, ARGV[i + 1])
  if (token or '') == ARGV[i + 2] then -- still the one that was found dead
    redis.call('HDEL', locks, ARGV[i + 1]) -- from now on it can commit nothing
    while true do
      local pending = redis.pcall('XPENDING', log, name, '-', '+', 100, consumer)
      if pending.err then
        return {claimed, text(last), 1} -- the group is gone
      end
      if #pending == 0 then
        break
      end
      if room <= 0 then
        return {claimed, text(last), 0}
      end
      local ids = {}
      for j, entry in ipairs(pending) do
        ids[j] = entry[1]
      end
      local command = {'XCLAIM', log, name, ARGV[2], 0, unpack(ids)}
      command[#command + 1] = 'JUSTID'
      redis.call(unpack(command))
      for _, entry in ipairs(redis.call('XPENDING', log, name, ids[1], ids[#ids], 100, consumer)) do
        redis.call('XACK', log, name, entry[1]) -- not claimed: it is no longer in the log
      end
      claimed, room = claimed + #ids, room - #ids
      last = math.max(last, position(ids[#ids]))
    end
    redis.call('XGROUP', 'DELCONSUMER', log, name, consumer)
    redis.call('HDEL', pump, 'done:' .. consumer)
  end
end
return {claimed, text(last), 1}
