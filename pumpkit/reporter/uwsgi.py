"""uWSGI forks in C, where Python's hooks are not called, from the process that has loaded the application.

A fork in C takes along whatever locks the threads of that process hold, the interpreter's own included, so no thread is
started there. What was recorded while the application was loaded is sent by the first worker: the master runs no Python
after its forks, not even at its end. With `--lazy-apps` workers load the application, and none of this matters.
"""

import importlib
import logging
import os
from collections.abc import Callable
from typing import Any

log = logging.getLogger("pumpkit.reporter")

_uwsgi: Any = None
_loader = 0  # the process that loads the application for others
_known = os.getpid()  # the process that was entered last
_heir = False


def may_start_threads() -> bool:
    """Whether a thread may be started here: not in a process that uWSGI will fork."""
    return _uwsgi is None or os.getpid() != _loader or _uwsgi.worker_id() > 0


def is_new() -> bool:
    """Whether this process is a fork that has not been entered yet."""
    return _uwsgi is not None and os.getpid() != _known


def enter() -> None:
    """Enter this process, which was forked."""
    global _known, _heir
    if _uwsgi is not None:
        _heir = _known == _loader and _uwsgi.worker_id() == 1 and not _uwsgi.workers()[0]["respawn_count"]
    _known = os.getpid()


def is_heir() -> bool:
    """Whether this process has to send what was recorded while the application was loaded."""
    return _heir


def follow(forked: Callable[[], None]) -> None:
    """Call `forked` in every child, where this is a process of uWSGI."""
    global _uwsgi, _loader
    try:
        module = importlib.import_module("uwsgi")
    except ImportError:
        return
    if not hasattr(module, "worker_id"):  # a folder of that name, which Python takes for a package
        return
    _uwsgi = module
    if not _uwsgi.worker_id():
        _loader = os.getpid()
    previous = getattr(_uwsgi, "post_fork_hook", None)

    def after_fork() -> None:
        if previous is not None:
            previous()
        forked()

    _uwsgi.post_fork_hook = after_fork
    if not _uwsgi.has_threads:
        log.warning("uWSGI runs no threads, so records are sent when a worker ends: start it with --enable-threads")
