-- Return whether a token is still the one of a lease.
-- KEYS: locks   ARGV: lease, token
return held(KEYS[1], ARGV[1], ARGV[2]) and 1 or 0
