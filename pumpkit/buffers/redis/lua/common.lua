-- In front of every other script. A script runs alone: nothing else happens in the server meanwhile.

-- Return the server's time in microseconds.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Return a whole number as text; Lua would write a large one with an exponent.
local function text(number)
  return string.format('%.0f', number)
end

-- Return the two numbers of an entry's id. Ours are `MICROSECONDS-0`.
local function parts(id)
  local first, second = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(first), tonumber(second)
end

-- Return the position in the log that an entry's id stands for.
local function position(id)
  local first, second = parts(id)
  return first + second
end

-- Return the token, the end (microseconds) and the holder of a lease.
local function lease(locks, field)
  local value = redis.call('HGET', locks, field)
  if not value then
    return nil
  end
  local token, till, holder = string.match(value, '^(%x*)|(%d+)|(.*)$')
  return token, tonumber(till), holder
end

-- A command that writes but needs no memory has to come first: the server then allows the rest of the script, even
-- with its memory full, and a full log can be drained.
local function begin_to_write(key)
  redis.call('HDEL', key, '')
end

-- Return what `lease` does. If it ends later than it can have been taken for, somebody has set the server's clock back:
-- its end is set anew, or a dead holder would keep it until then.
local function bounded(locks, field, microseconds)
  local token, till, holder = lease(locks, field)
  local latest = now() + microseconds
  if till and token ~= '' and till > latest then
    till = latest
    begin_to_write(locks)
    redis.call('HSET', locks, field, token .. '|' .. text(till) .. '|' .. holder)
  end
  return token, till, holder
end

-- Return whether a token is still the one of a lease. That its time is over changes nothing until somebody takes it.
local function held(locks, field, token)
  return lease(locks, field) == token
end

-- Return a field of an entry.
local function field(pairs_, name)
  for i = 1, #pairs_, 2 do
    if pairs_[i] == name then
      return pairs_[i + 1]
    end
  end
  return nil
end

-- Return the values of a reply that lists names and values in turn.
local function named(reply)
  local values = {}
  for i = 1, #reply, 2 do
    values[reply[i]] = reply[i + 1]
  end
  return values
end

-- Return every group of the log by its name.
local function groups(log)
  local found = {}
  local reply = redis.pcall('XINFO', 'GROUPS', log)
  if reply.err then
    return found
  end
  for _, group in ipairs(reply) do
    local values = named(group)
    found[values['name']] = values
  end
  return found
end

-- Return a number of a hash, 0 if it is not there.
local function number(key, name)
  return tonumber(redis.call('HGET', key, name) or '0')
end

-- Return the records that an entry was stored with; none for what somebody else has put into the stream.
local function records(pairs_)
  local count = field(pairs_, 's') and field(pairs_, 'n')
  return tonumber(count and string.match(count, '^%d+$') or '0')
end

-- Return how many records and bytes the log was given before its first entry from an id on. What somebody else has put
-- there does not tell; if there is too much of that, nothing is returned.
local function given_before(log, meta, from)
  for _ = 1, 100 do
    local entry = redis.call('XRANGE', log, from, '+', 'COUNT', 1)[1]
    if not entry then
      return number(meta, 'stored'), number(meta, 'bytes')
    end
    local before, size = field(entry[2], 's'), field(entry[2], 'b')
    if before and size then
      return tonumber(before), tonumber(size)
    end
    from = '(' .. entry[1]
  end
  return nil
end

-- Return how many records, of all that the log was ever given, a pump has accounted for.
local function accounted(pump)
  local sum = number(pump, 'began')
  for _, count in ipairs({'delivered', 'filtered', 'dead', 'skipped'}) do
    sum = sum + number(pump, count)
  end
  return sum
end

-- Return whether the log is the one with this id. Trimming leaves an empty stream, so a missing one was removed.
local function is_log(log, meta, id)
  return redis.call('HGET', meta, 'id') == id and redis.call('EXISTS', log) == 1
end
