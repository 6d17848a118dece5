"""Interpreters beside the main one of a process."""

from collections.abc import Callable

from tests.servers.fixtures import program as server_program
from tests.ways.way import Stage, Way

_GROUP = "Subinterpreters"

_PROGRAM = """
import sys
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    kinds = {"legacy": "legacy", "isolated": "isolated"}
    create, run = interpreters.create, interpreters.exec
else:
    import _xxsubinterpreters as interpreters
    create, run = lambda kind: interpreters.create(isolated=kind == "isolated"), interpreters.run_string

CODE = '''
import sys
sys.path.insert(0, FOLDER)
if not KEPT:
    import os
    os.environ["WAY_EXIT_TIMEOUT"] = "0.5"
from recording import AWAY, ending, flush, record
if KEPT and not AWAY:
    record(NAME + "-flushed")
    flush()
record(NAME, kept=KEPT)
ending()
'''
from recording import ending, record
kept = sys.argv[2] == "kept"
record("main")
for number in range(2):
    interpreter = create(sys.argv[1])
    code = CODE.replace("FOLDER", repr(sys.path[0])).replace("NAME", repr(f"sub-{number}")).replace("KEPT", repr(kept))
    failed = run(interpreter, code)
    assert failed is None, failed
    interpreters.destroy(interpreter)
record("main-last")
ending()
"""


def _kind(kind: str, kept: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        stage.run(_PROGRAM, kind, kept)

    return run


def _isolated_with_redis(stage: Stage) -> None:
    from tests.servers.redis import RedisServer

    server = RedisServer(server_program()).start()
    stage.cleanup.callback(server.stop)
    stage.program.url = stage.program.environment["PUMPKIT_BUFFER"] = server.url
    stage.run(_PROGRAM, "isolated", "kept")


WAYS = [
    Way(
        "subinterpreter",
        _GROUP,
        "a subinterpreter, as mod_wsgi makes them (Python 3.12)",
        "it has a reporter of its own, whose records are sent when it ends at the latest",
        _kind("legacy", "kept"),
        python=(3, 12),
    ),
    Way(
        "subinterpreter-isolated",
        _GROUP,
        "an isolated subinterpreter (Python 3.13), with Redis as the buffer",
        "it has a reporter of its own, whose records are sent when it ends at the latest",
        _isolated_with_redis,
        conditions=("fine",),
        python=(3, 13),
    ),
    Way(
        "subinterpreter-isolated-sqlite",
        _GROUP,
        "an isolated subinterpreter (Python 3.13), with SQLite as the buffer",
        "the driver of SQLite cannot be imported there, so its reporter never finds its buffer",
        _kind("isolated", "lost"),
        "use Redis",
        conditions=("fine",),
        python=(3, 13),
    ),
]
