"""On what was measured: a figure without its interpreter, its disk and its neighbours says little."""

import os
import platform
import subprocess
import sysconfig
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pumpkit.buffers.sqlite import place
from tests.servers.elasticsearch import installed_major
from tests.servers.process import INSTALLED
from tests.servers.redis import KINDS, find

_REPORTERS = ("fluent-logger", "loguru", "opentelemetry-sdk", "posthog", "segment-analytics-python")


def description() -> dict[str, str]:
    """Return what to know of this machine, by name."""
    folder = Path(tempfile.gettempdir()).resolve()
    return {
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}, {_build()}",
        "libraries": ", ".join(map(_version, ("apsw", "msgpack", "zstandard", "redis", "hiredis"))),
        "drivers": ", ".join(map(_version, ("pymongo", "elasticsearch", "orjson"))),
        "frameworks": ", ".join(map(_version, ("flask", "gunicorn", "starlette", "uvicorn", "uvloop"))),
        "other reporters": ", ".join(map(_version, _REPORTERS)),
        "Redis": _redis(),
        "other servers": _others(),
        "machine": f"{os.cpu_count()} processors ({_processor()}), {platform.system()} {platform.release()}",
        "disk": place.file_system(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"), folder),
    }


def _build() -> str:
    """Return how the interpreter was compiled: these optimizations make it up to a third faster."""
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimized = "with" if "--enable-optimizations" in options else "without"
    lto = "with" if "--with-lto" in options else "without"
    return f"built by {platform.python_compiler()} {optimized} --enable-optimizations, {lto} --with-lto"


def _redis() -> str:
    """Return which server the benchmarks of Redis start."""
    program = next(filter(None, map(find, KINDS)), None)
    if program is None:
        return "none"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition(" sha=")[0].replace("v=", "")


def _others() -> str:
    """Return which servers the benchmarks of databases start."""
    notes = {name: INSTALLED / f"{name}.installed" for name in ("mongo", f"elasticsearch-{installed_major()}")}
    found = [f"{name.partition('-')[0]}: {note.read_text()}" for name, note in notes.items() if note.exists()]
    return ", ".join(found).replace("==", " ") or "none"


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


class Neighbours:
    """How much of the machine others used while something was measured."""

    def __init__(self) -> None:
        self._busy, self._all = _ticks()
        self._own = _own_ticks()

    def share(self) -> float:
        """Return the part of all processors' time that went to other processes, the kernel and other guests."""
        busy, total = _ticks()
        others = (busy - self._busy) - (_own_ticks() - self._own)
        return max(0.0, others / max(1.0, total - self._all))


def _ticks() -> tuple[float, float]:
    """Return the busy and all time of all processors so far; see proc_stat(5)."""
    fields = [float(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]  # idle, iowait
    return sum(fields) - idle, sum(fields)


def _own_ticks() -> float:
    used = os.times()
    return (used.user + used.system + used.children_user + used.children_system) * os.sysconf("SC_CLK_TCK")
