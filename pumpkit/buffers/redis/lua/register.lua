-- Make sure that a pump has a place in the log; return whether the log is there.
-- KEYS: log, meta, pumps, pump   ARGV: name, start
local log, meta, pumps, pump = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = redis.call('HGET', meta, 'id')
if not id or not is_log(log, meta, id) then
  return 0
end
begin_to_write(pump)
redis.call('SADD', pumps, ARGV[1])
if redis.call('EXISTS', pump) == 1 then
  return 1
end
local began, at, from = number(meta, 'trimmed'), number(meta, 'trimmed_to'), '0'
if ARGV[2] == 'newest' then
  began, at, from = number(meta, 'stored'), number(meta, 'last'), '$'
end
redis.call('XGROUP', 'DESTROY', log, ARGV[1]) -- of nobody
redis.call('XGROUP', 'CREATE', log, ARGV[1], from)
redis.call('HSET', pump, 'id', id, 'began', text(began), 'position', text(at), 'floor', text(at), 'wanted', 'run')
return 1
