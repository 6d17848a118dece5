-- Make the log unless it is there; return its id. What was left of an earlier one goes, but for its settings. If only what
-- is known of the log is gone, its entries stay: every pump begins again at the oldest, and producers go on.
-- KEYS: log, meta, producers   ARGV: id of a new one, its size cap, its format, its shards, which of them it is
local log, meta, producers = KEYS[1], KEYS[2], KEYS[3]
local id = redis.call('HGET', meta, 'id')
if id and is_log(log, meta, id) then
  return id
end
local foreign = redis.error_reply('WRONGTYPE ' .. log .. ' is no stream of pumpkit')
local kind = redis.call('TYPE', log).ok
if kind ~= 'none' and kind ~= 'stream' then
  return foreign
end
local stored, bytes, last = 0, 0, 0
if redis.call('XLEN', log) > 0 then
  -- What the last entry of ours says was stored until then.
  local latest, entry = '+', nil
  for _ = 1, 100 do
    entry = redis.call('XREVRANGE', log, latest, '-', 'COUNT', 1)[1]
    if not entry or (field(entry[2], 's') and field(entry[2], 'b')) then
      break
    end
    latest = '(' .. entry[1]
  end
  if not entry then
    return foreign
  end
  stored, bytes = field(entry[2], 's') + records(entry[2]), field(entry[2], 'b') + #(field(entry[2], 'f') or '')
  last = position(entry[1])
end
local cap = redis.call('HGET', meta, 'max_bytes') or ARGV[2]
local shards = redis.call('HGET', meta, 'shards') or ARGV[4]
local made = text(now())
redis.call('UNLINK', meta)
redis.call('HSET', meta, 'id', ARGV[1], 'max_bytes', cap, 'format', ARGV[3], 'made', made, 'shards', shards)
redis.call('HSET', meta, 'shard', ARGV[5], 'lost', 0, 'drops', '{}', 'stored', text(stored), 'bytes', text(bytes))
redis.call('HSET', meta, 'last', text(last), 'trimmed', 0, 'trimmed_bytes', 0, 'trimmed_to', 0)
if kind == 'stream' then
  local before, size = given_before(log, meta, '-')
  redis.call('HSET', meta, 'trimmed', text(before or 0), 'trimmed_bytes', text(size or 0))
else
  redis.call('UNLINK', producers)
  redis.call('XDEL', log, redis.call('XADD', log, made .. '-0', 'f', '')) -- leaves an empty stream
end
return ARGV[1]
