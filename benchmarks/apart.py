"""Functions in fresh interpreters, so that what one contender leaves behind no other meets."""

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any

#: Seconds in which every process of a run has to be ready, and seconds in which it has to answer.
READY, PATIENCE = 60.0, 300.0

_SPAWN = multiprocessing.get_context("spawn")


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a process of its own; return what it returns. Raises RuntimeError with its traceback."""
    return _answers([_start(function, args)])[0]


def together(*calls: tuple[Any, ...]) -> list[Any]:
    """Call functions at the same time, each in its own process; return what they return.

    A call is (function, argument, ...). The function gets a barrier before its arguments, and waits there once it is
    ready to begin.
    """
    barrier = _SPAWN.Barrier(len(calls))
    return _answers([_start(function, (barrier, *args)) for function, *args in calls])


def ready(barrier: Barrier) -> None:
    """Wait until all the others are ready, too."""
    barrier.wait(READY)


def _start(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[BaseProcess, Connection]:
    ours, theirs = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_child, args=(theirs, function, args))
    process.start()
    theirs.close()
    return process, ours


def _child(pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        pipe.send((True, function(*args)))
    except BaseException:
        pipe.send((False, traceback.format_exc()))


def _answers(children: list[tuple[BaseProcess, Connection]]) -> list[Any]:
    try:
        return [_answer(process, pipe) for process, pipe in children]
    finally:
        for process, pipe in children:
            pipe.close()
            process.kill()
            process.join()
            process.close()


def _answer(process: BaseProcess, pipe: Connection) -> Any:
    if not pipe.poll(PATIENCE):
        raise RuntimeError(f"no answer within {PATIENCE} s")
    try:
        good, answer = pipe.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"a process of this benchmark ended with {process.exitcode}") from None
    if not good:
        raise RuntimeError(f"a process of this benchmark failed:\n{answer}")
    process.join(PATIENCE)
    return answer
