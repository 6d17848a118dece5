-- Return the state of one moment: the log's own, its length, and of each pump: name, its hash, number of dead letters,
-- when the oldest frame it has not passed was made; and how long ago the log was made, in microseconds.
-- KEYS: log, meta, pumps   ARGV: what pump keys begin with, what keys of dead letters begin with, then names; none for
--       all pumps
local log, meta = KEYS[1], KEYS[2]
local id = redis.call('HGET', meta, 'id')
if not id or not is_log(log, meta, id) then
  return {'gone'}
end
local names = {}
for i = 3, #ARGV do
  names[#names + 1] = ARGV[i]
end
if #names == 0 then
  names = redis.call('SMEMBERS', KEYS[3])
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
    local made = oldest and string.match(field(oldest[2], 't') or '', '^%d+$') or ''
    pumps[#pumps + 1] = {name, redis.call('HGETALL', pump), redis.call('HLEN', ARGV[2] .. name), made}
  end
end
return {'ok', redis.call('HGETALL', meta), redis.call('XLEN', log), pumps, text(now() - number(meta, 'made'))}
