"""The embedded buffer: one SQLite file for the log, and beside it one small file for each pump.

    FILE                     the log: written by producers and by the trimmer
    FILE.lock, FILE.holder   the runner's lock, and what it says of itself
    FILE.pumps/PUMP.db       a pump's position, ledger and dead letters: written by its worker alone, under PUMP.lock,
                             except the two things that a person sets (`wanted`, and the marks of dead letters)
    FILE.pumps/.lock         held for a moment by whoever creates or removes files, or trims
    FILE.pumps/.reserve      disk space that is given up when the disk is full, so that the log can drain

So acknowledgements never wait for producers. Every file is opened through apsw, whose wheel brings its own SQLite, and
never through the stdlib's `sqlite3`: SQLite 3.7.0 to 3.51.2 can corrupt a file in WAL mode that several processes
write (https://sqlite.org/wal.html#walresetbug).
"""

from pumpkit.buffers.base import Buffer, Fact
from pumpkit.buffers.sqlite import about
from pumpkit.buffers.sqlite import url as urls
from pumpkit.buffers.sqlite.buffer import SqliteBuffer
from pumpkit.buffers.sqlite.database import PATIENCE, check_library


def open(url: str, *, create: bool, timeout: float = PATIENCE) -> Buffer:
    """Open the buffer at `url`: `sqlite:///FILE` (relative) or `sqlite:////FILE` (absolute), see `url.parse`.

    With `create` it is made if it is missing, and made again if somebody removes it later. Without, a missing one
    raises BufferUnavailable. Raises BufferConfigError for a bad URL, a place that cannot hold a buffer, or a file
    that is not one.
    """
    place = urls.parse(url)
    check_library()
    return SqliteBuffer(place.file, create=create, timeout=timeout, force_network=place.force_network)


def facts(url: str) -> list[Fact]:
    """Return what there is to know of the place at `url`; see `base.BufferModule.facts`."""
    place = urls.parse(url)
    check_library()
    return about.facts(place)
