-- Make the log unless it is there; return its id. What was left of an earlier one goes, but for its settings.
-- KEYS: log, meta, producers   ARGV: id of a new one, its size cap, its format, its shards, which of them it is
local log, meta, producers = KEYS[1], KEYS[2], KEYS[3]
local id = redis.call('HGET', meta, 'id')
if id and is_log(log, meta, id) then
  return id
end
local cap = redis.call('HGET', meta, 'max_bytes') or ARGV[2]
local shards = redis.call('HGET', meta, 'shards') or ARGV[4]
redis.call('UNLINK', log, meta, producers)
redis.call('HSET', meta, 'id', ARGV[1], 'max_bytes', cap, 'format', ARGV[3])
redis.call('HSET', meta, 'stored', 0, 'bytes', 0, 'trimmed', 0, 'trimmed_bytes', 0, 'trimmed_to', 0)
local made = text(now())
redis.call('HSET', meta, 'lost', 0, 'drops', '{}', 'shards', shards, 'shard', ARGV[5], 'made', made)
redis.call('XDEL', log, redis.call('XADD', log, made .. '-0', 'f', '')) -- leaves an empty stream
return ARGV[1]
