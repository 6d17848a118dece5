-- Return what the log knows of a producer, '' if nothing.
-- KEYS: log, meta, producers   ARGV: producer
local id = redis.call('HGET', KEYS[2], 'id')
if not id or not is_log(KEYS[1], KEYS[2], id) then
  return {'gone'}
end
return {'row', redis.call('HGET', KEYS[3], ARGV[1]) or ''}
