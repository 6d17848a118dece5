-- Open a pump's cursor for the holder of its lease: see to its group, and hand over what is suspected.
-- KEYS: log, meta, pump, locks, accepted   ARGV: name, lease, token, whether it is held alone
-- Returns the log's id, the place, up to where frames may have been handed out before, whether it began again (also if
-- an earlier call did that, and its answer was lost), and how often it did.
local log, meta, pump, locks, accepted = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id = redis.call('HGET', meta, 'id')
if not id or not is_log(log, meta, id) then
  return {'gone'}
end
if not held(locks, ARGV[2], ARGV[3]) then
  return {'fenced'}
end
if redis.call('EXISTS', pump) == 0 then
  return {'unknown'}
end
begin_to_write(pump)
local is_known = redis.call('HGET', pump, 'id') == id
if not is_known then
  local at = text(number(meta, 'trimmed_to'))
  redis.call('HSET', pump, 'id', id, 'began', text(number(meta, 'trimmed')), 'position', at, 'floor', at)
  redis.call('HSET', pump, 'delivered', 0, 'filtered', 0, 'dead', 0, 'skipped', 0, 'redelivered', 0, 'suspect', 0)
  redis.call('HINCRBY', pump, 'epoch', 1)
  redis.call('HSET', pump, 'reset_by', ARGV[3], 'again', 0)
  redis.call('DEL', accepted)
  redis.pcall('XGROUP', 'DESTROY', log, ARGV[1])
end
if not groups(log)[ARGV[1]] then
  -- Begin after what is known to be passed, never at what is newest.
  local floor = number(pump, 'floor')
  redis.call('XGROUP', 'CREATE', log, ARGV[1], floor == 0 and '0' or text(floor) .. '-0')
  if is_known then
    -- Somebody destroyed it. Nobody knows how far it had got; and of several cursors, some may have passed entries
    -- behind that place: these are handed out again, and counted again.
    local last = text(number(meta, 'last'))
    redis.call('HSET', pump, 'position', text(floor), 'again', last, 'suspect', last)
    local before = given_before(log, meta, floor == 0 and '-' or '(' .. text(floor) .. '-0') or number(meta, 'stored')
    redis.call('HINCRBY', pump, 'began', text(math.min(0, before - accounted(pump))))
  end
end
local suspect = math.min(number(pump, 'suspect'), number(meta, 'last'))
if ARGV[4] == '1' then
  redis.call('HSET', pump, 'suspect', '9007199254740991') -- everything, until it is closed
end
local again = redis.call('HGET', pump, 'reset_by') == ARGV[3] and 1 or 0
return {'ok', id, redis.call('HGET', pump, 'position'), text(suspect), again, number(pump, 'epoch')}
