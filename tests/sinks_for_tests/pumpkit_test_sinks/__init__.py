"""Sinks for tests of real processes: one that behaves, and one for every way to misbehave.

The folder above is laid out as an installed distribution: with `tests/sinks_for_tests` on PYTHONPATH every worker
finds these plugins by their entry points. A configuration sets each up through its `meta`:

    pumps:
      audit: {type: t-file, meta: {path: /somewhere/arrived.jsonl}}
      broken: {type: t-segfault, meta: {path: /somewhere/else.jsonl, field: username, value: poison}}

Every sink appends what it accepted to `path`, a JSON line a record, in one system call a write:
`{"id": .., "record": {..}, "late": false, "pid": .., "write": 3}` (`write` counts the calls in this process, from 1).
`pumpkit_test_sinks.base.arrived(path)` reads it back, however far it got. A redelivered record is there twice.

What provokes a sink (keys of `base.FileSink`):

    field, value   a record whose `field`, as text, equals `value`; without `field` every record does
    until          it misbehaves only as long as this file does not exist
    once           true: it creates `until` itself, just before it misbehaves
    where          write (default), filters, omit-detail, init or close; `omit-detail` needs omit-detailed-recording

| type              | a provoked sink                                                                                |
|-------------------|------------------------------------------------------------------------------------------------|
| t-file            | accepts everything all the same                                                                |
| t-ordered         | the same, as an ordered sink: never halved                                                     |
| t-slow            | sleeps `seconds` (0.1) before each write                                                       |
| t-timeout         | asks for a timeout of `seconds` (1) by its own hook, then hangs                                |
| t-hang            | never returns; `how`: sleep, gil (a C call that keeps the lock) or regex                       |
| t-hang-filter     | t-hang with `where: filters`                                                                   |
| t-secret          | t-file with a setting `pin`, a secret by its type                                              |
| t-segfault        | dies of SIGSEGV                                                                                |
| t-segfault-filter | t-segfault with `where: filters`                                                               |
| t-exit            | `how`: sys (sys.exit), os (os._exit) or kill (SIGKILL to itself); `code` (3)                   |
| t-exit-filter     | t-exit with `where: filters`                                                                   |
| t-nth             | SIGKILLs itself in the `calls`th (3) write of each process; `accepted: true`: after it wrote   |
| t-poison          | raises ValueError for the whole batch, naming no record                                        |
| t-unavailable     | raises Unavailable; `how`: connection, timeout or error (an unknown error) raise those instead |
| t-flaky           | fails at random by `seed`, with the chance `rate` (0.3): Unavailable, error or PartialWrite    |
| t-reject          | rejects the provoking records and accepts the others                                           |
| t-reject-all      | t-reject of every record, whatever is provoked                                                 |
| t-config-error    | raises ConfigError; `where` is init unless set                                                 |
| t-returns-false   | accepts the batch and returns False                                                            |
| t-stdout          | prints to standard output at import, init and in each write, also by file descriptor           |
| t-stderr          | writes `size` (1 MiB) bytes to standard error before each write                                |
| t-child           | leaves a sleeping child process behind that holds every open descriptor                        |
| t-thread          | leaves a thread behind that never ends                                                         |
| t-import-error    | fails to import                                                                                |
| t-import-exit     | calls sys.exit when imported                                                                   |
| t-import-hang     | never finishes its import                                                                      |
| t-unmarked        | has a `write_data` without @hookimpl                                                           |
| t-no-new          | has no `new`                                                                                   |
| t-new-raises      | raises in `new`                                                                                |
"""
