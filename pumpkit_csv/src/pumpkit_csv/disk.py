"""What the other modules ask of the file system, and what its errors mean to the pump."""

import errno
import os
import pwd
from pathlib import Path

from pumpkit import ConfigError, Unavailable

#: Errors that nothing but a person can end; the others (no space, quota, I/O) may end by themselves.
_FOR_A_PERSON = {
    errno.EACCES: "let {user} write there",
    errno.EPERM: "let {user} write there",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOENT: "it was moved or deleted; put it back",
    errno.EEXIST: "move it out of the way",
    errno.ENOTDIR: "a part of the path is no directory",
    errno.EISDIR: "move the directory out of the way",
    errno.ELOOP: "a symbolic link is not followed here",
    errno.ENAMETOOLONG: "choose a shorter `prefix` or `csv-dir`",
}


def verdict(error: OSError, directory: Path) -> ConfigError | Unavailable:
    """Return what an error of the file system tells the pump to do."""
    number = error.errno or 0
    what = f"{error.filename or directory}: {error.strerror or error} ({errno.errorcode.get(number, number)})"
    advice = _FOR_A_PERSON.get(number)
    if advice is None:
        return Unavailable(what)
    return ConfigError(f"{what}: {advice.format(user=_user())}")


def _user() -> str:
    uid = os.geteuid()
    try:
        return f"user {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes, however few the kernel takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def make_directory(directory: Path) -> None:
    """Make a directory and its parents; durable on return."""
    if not directory.exists():
        make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
