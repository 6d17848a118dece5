"""Moving what other programs write into the log: lists of Go programs in Redis.

`importer` is the process of one input, `redis_list` moves one list, and `framing` makes frames of its items.
"""
