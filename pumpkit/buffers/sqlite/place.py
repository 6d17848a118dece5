"""Where a buffer may live, with which modes its files are made, and how much room the disk has left."""

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable

#: File systems on which SQLite's locks or its shared memory cannot be trusted; `fuse` stands for `fuse.sshfs` and all.
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse", "fuseblk", "afs", "ceph", "lustre", "gpfs", "ncpfs"}

#: Bytes of disk kept back for pumps and trimming. Larger than the write-ahead log (see `database.WAL_BYTES`) with a
#: transaction on top, or deleting would itself fail for want of room.
RESERVE = 2 << 20

_MOUNTS = Path("/proc/self/mountinfo")


def check(file: Path, force_network: bool) -> None:
    """Raise BufferConfigError if `file` is in a place where a buffer must not be. Its folder has to exist."""
    folder = file.parent
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise BufferConfigError(f"{folder}: everybody may replace files there; chmod o-w it, or move the buffer")
    for path in (file, pumps_folder(file)):
        if path.is_symlink():
            raise BufferConfigError(f"{path} is a symbolic link; name the file it points to")
    if file.exists() and not file.is_file():
        raise BufferConfigError(f"{file} is not a file")
    if not force_network and _MOUNTS.exists():
        kind = file_system(_MOUNTS.read_text(errors="surrogateescape"), folder.resolve())
        if kind.partition(".")[0] in NETWORK:
            raise BufferConfigError(
                f"{file} is on a {kind} file system, where SQLite can lose or damage data; use a local disk, or a"
                " redis:// buffer (add ?force-network=1 to the URL if you know that it is safe)"
            )


def file_system(mountinfo: str, path: Path) -> str:
    """Return the type of the file system that holds an absolute, resolved path, "" if unknown.

    `mountinfo` is the text of /proc/PID/mountinfo (proc_pid_mountinfo(5)); of several mounts on one point the last
    one counts.
    """
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind


def pumps_folder(file: Path) -> Path:
    """Return the folder of the pumps' files."""
    return file.with_name(file.name + ".pumps")


def create_file(path: Path) -> None:
    """Make an empty file: for the group too if its folder is setgid, else for the owner only."""
    mode = 0o660 if path.parent.stat().st_mode & stat.S_ISGID else 0o600
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
    os.close(handle)
    path.chmod(mode)  # whatever the umask took away


def create_folder(path: Path) -> None:
    """Make a folder unless it exists, with modes as in `create_file`."""
    with contextlib.suppress(FileExistsError):
        shared = path.parent.stat().st_mode & stat.S_ISGID
        path.mkdir()
        path.chmod(0o2770 if shared else 0o700)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses about `path` into an error of the buffer."""
    try:
        yield
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise BufferConfigError(
            f"{error.filename or path}: {error.strerror}; name a file in a folder that this user, or a group that its"
            " users share, may write"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BufferFull(f"{error.filename or path}: {error.strerror}") from error
        raise BufferUnavailable(f"{error.filename or path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power failure."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def free_bytes(folder: Path) -> int:
    """Return how many bytes this user may still write to the disk of `folder`."""
    return shutil.disk_usage(folder).free


class Reserve:
    """A file that only takes up room, until the disk is full and pumps and trimming need it.

    Appends stop while less than `RESERVE` is free, so that they never take what was given up for draining.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def ease(self) -> None:
        """Give the room up if the disk is (nearly) full."""
        with contextlib.suppress(FileNotFoundError):
            if free_bytes(self.path.parent) < RESERVE // 4:
                self.path.unlink()

    def restore(self) -> None:
        """Take the room again once there is plenty. Systems that cannot allocate ahead go without."""
        allocate = getattr(os, "posix_fallocate", None)
        if allocate is None or self.path.exists() or free_bytes(self.path.parent) < 3 * RESERVE:
            return
        try:
            create_file(self.path)
            with self.path.open("r+b") as file:
                allocate(file.fileno(), 0, RESERVE)
        except OSError:  # somebody was faster, or took the room: next time, then
            self.path.unlink(missing_ok=True)
