-- Return the state of one moment: the log's own, its length, producers (if asked for), and of each pump: name, its
-- hash, number of dead letters, when the oldest frame it has not passed was made.
-- KEYS: log, meta, producers, pumps   ARGV: what pump keys begin with, what keys of dead letters begin with,
--       whether producers are asked for, then names; none for all pumps
local log, meta = KEYS[1], KEYS[2]
local id = redis.call('HGET', meta, 'id')
if not id or not is_log(log, meta, id) then
  return {'gone'}
end
local names = {}
for i = 4, #ARGV do
  names[#names + 1] = ARGV[i]
end
if #names == 0 then
  names = redis.call('SMEMBERS', KEYS[4])
end
local known, pumps = groups(log), {}
for _, name in ipairs(names) do
  local pump = ARGV[1] .. name
  if redis.call('EXISTS', pump) == 1 then
    local from, group = '-', known[name]
    if redis.call('HGET', pump, 'id') == id then
      local floor = redis.call('HGET', pump, 'floor')
      from = floor == '0' and '-' or '(' .. floor .. '-0'
      if group then
        local pending = redis.call('XPENDING', log, name)
        from = pending[1] > 0 and pending[2] or '(' .. group['last-delivered-id']
      end
    end
    local oldest = redis.call('XRANGE', log, from, '+', 'COUNT', 1)[1]
    local made = oldest and field(oldest[2], 't') or ''
    pumps[#pumps + 1] = {name, redis.call('HGETALL', pump), redis.call('HLEN', ARGV[2] .. name), made}
  end
end
local producers = ARGV[3] == '1' and redis.call('HGETALL', KEYS[3]) or {}
return {'ok', redis.call('HGETALL', meta), redis.call('XLEN', log), producers, pumps}
