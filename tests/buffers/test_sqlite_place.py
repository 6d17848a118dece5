"""Where an embedded buffer may be, and who may use its files."""

import os
import stat
from pathlib import Path

import pytest
from making import Producer, balance, drain, other

from pumpkit.buffers import open_buffer
from pumpkit.buffers.sqlite.place import NETWORK, check, file_system
from pumpkit.errors import BufferConfigError, BufferUnavailable

MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:40 / /srv rw,relatime shared:5 - nfs4 filer:/srv rw,vers=4.2
41 40 0:41 / /srv/local rw,relatime shared:6 master:1 - xfs /dev/vdb rw
42 27 0:42 / /mnt/with\\040space rw - cifs //host/share rw
43 27 0:43 / /mnt/twice rw - ext4 /dev/vdc rw
44 43 0:44 / /mnt/twice rw - fuse.sshfs user@host: rw
broken line
45 27 0:45 /
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/app", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/data", "nfs4"),
        ("/srvdata", "ext4"),
        ("/srv/local/data", "xfs"),
        ("/mnt/with space/a", "cifs"),
        ("/mnt/twice/a", "fuse.sshfs"),
    ],
)
def test_file_system(path: str, kind: str) -> None:
    """A path is on the mount with the longest matching point, of two on one point on the later."""
    assert file_system(MOUNTS, Path(path)) == kind


def test_file_system_unknown() -> None:
    """Without a matching line nothing is claimed."""
    assert file_system("", Path("/a")) == ""


def test_file_system_of_this_machine() -> None:
    """The real table of mounts is understood."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        pytest.skip("this system has no /proc/self/mountinfo")
    assert file_system(mounts.read_text(), Path("/proc")) == "proc"


@pytest.mark.parametrize("kind", [*sorted(NETWORK), "fuse.sshfs"])
def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """On a network file system a buffer is refused with the way out, unless it is forced."""
    table = tmp_path / "mountinfo"
    table.write_text(f"27 1 254:0 / / rw,relatime - {kind} there rw\n")
    monkeypatch.setattr("pumpkit.buffers.sqlite.place._MOUNTS", table)
    with pytest.raises(BufferConfigError, match=rf"b\.db is on a {kind} file system.*force-network=1"):
        open_buffer(f"sqlite:///{tmp_path}/b.db")
    assert not (tmp_path / "b.db").exists()
    buffer = open_buffer(f"sqlite:///{tmp_path}/b.db?force-network=1")
    buffer.close()


def test_symbolic_links_are_refused(tmp_path: Path) -> None:
    """A buffer that is a symbolic link is refused: its side files would be elsewhere."""
    (tmp_path / "b.db").symlink_to(tmp_path / "real.db")
    with pytest.raises(BufferConfigError, match="symbolic link"):
        open_buffer(f"sqlite:///{tmp_path}/b.db")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "c.db.pumps").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BufferConfigError, match="symbolic link"):
        open_buffer(f"sqlite:///{tmp_path}/c.db")


def test_folders_open_to_everybody_are_refused(tmp_path: Path) -> None:
    """A folder where everybody may replace files is refused; with the sticky bit, as /tmp has it, it is not."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BufferConfigError, match="chmod o-w"):
        open_buffer(f"sqlite:///{folder}/b.db")
    folder.chmod(0o1777)
    buffer = open_buffer(f"sqlite:///{folder}/b.db")
    buffer.close()


def test_folder_in_the_way(tmp_path: Path) -> None:
    """A folder with the name of the buffer, or a file with that of its folder, is told."""
    (tmp_path / "b.db").mkdir()
    with pytest.raises(BufferConfigError, match=r"b\.db is not a file"):
        check(tmp_path / "b.db", force_network=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(BufferConfigError, match="file"):
        open_buffer(f"sqlite:///{tmp_path}/file/b.db")


def test_parents_are_made(tmp_path: Path) -> None:
    """Missing folders above a new buffer are made, for its owner alone; without `create` nothing is."""
    url = f"sqlite:///{tmp_path}/a/b/c.db"
    with pytest.raises(BufferUnavailable):
        open_buffer(url, create=False)
    assert list(tmp_path.iterdir()) == []
    buffer = open_buffer(url)
    buffer.close()
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return mode and group of every file under a folder."""
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid)
        for path in folder.rglob("*")
    }


def use(folder: Path) -> None:
    """Use a buffer so that every file it ever has is there."""
    buffer = open_buffer(f"sqlite:///{folder}/b.db")
    buffer.append([Producer().frame()])
    runner, cursor = buffer.runner_lock({}), buffer.cursor("audit")
    drain(cursor)
    while buffer.trim():
        pass
    found = files(folder)
    assert {"b.db", "b.db-wal", "b.db-shm", "b.db.lock", "b.db.holder", "b.db.pumps"} <= found.keys()
    assert {f"b.db.pumps/audit.{kind}" for kind in ("db", "db-wal", "db-shm", "lock", "holder")} <= found.keys()
    cursor.close()
    runner.release()
    buffer.close()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_modes_for_one_user(tmp_path: Path, umask: int) -> None:
    """Whatever the umask, files are for their owner alone."""
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o755)
    before = os.umask(umask)
    try:
        use(folder)
    finally:
        os.umask(before)
    for name, (mode, _) in files(folder).items():
        assert mode == (0o700 if name.endswith(".pumps") else 0o600), name


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_modes_in_a_setgid_folder(tmp_path: Path, umask: int) -> None:
    """In a setgid folder every file is the group's, too."""
    folder = tmp_path / "ours"
    folder.mkdir()
    folder.chmod(0o2770)
    before = os.umask(umask)
    try:
        use(folder)
    finally:
        os.umask(before)
    for name, (mode, group) in files(folder).items():
        assert mode == (0o2770 if name.endswith(".pumps") else 0o660), name
        assert group == folder.stat().st_gid, name


APPEND = """
from making import Producer
from pumpkit.buffers import open_buffer
from pumpkit.errors import BufferError
try:
    buffer = open_buffer(url)
    buffer.append([Producer().frame()])
    buffer.close()
except BufferError as error:
    print(type(error).__name__, error)
"""
DRAIN = """
from making import drain
from pumpkit.buffers import open_buffer
buffer = open_buffer(url)
runner = buffer.runner_lock({})
cursor = buffer.cursor("audit")
print(len(drain(cursor)))
while buffer.trim():
    pass
cursor.close()
buffer.set_wanted("audit", "pause")
buffer.stats()
"""
APPLICATION, RUNNER, STRANGER, GROUP = 60_001, 60_002, 60_003, 60_100


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("first", [APPLICATION, RUNNER])
def test_two_users_share_by_group(open_to_all: Path, first: int) -> None:
    """An application and a runner under two users share a buffer by group, whoever comes first; others may not."""
    folder = open_to_all / "shared"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2770)
    url = f"sqlite:///{folder}/b.db"
    steps = [(APPEND, APPLICATION, ""), (DRAIN, RUNNER, "1")]
    if first == RUNNER:
        steps.insert(0, (DRAIN, RUNNER, "0"))
    for code, user, said in [*steps, *steps]:
        with other(code, url, user=user, group=GROUP) as process:
            assert process.finish() == said
    buffer = open_buffer(url)
    assert balance(buffer, "audit").delivered == 6
    buffer.close()
    with other(APPEND, url, user=STRANGER, group=STRANGER) as process:
        assert process.finish().startswith("BufferConfigError")


@pytest.mark.usefixtures("as_root")
def test_no_permission(open_to_all: Path) -> None:
    """Without the right to write a buffer, or to make one, the message names the path and the way out."""
    folder = open_to_all / "private"
    folder.mkdir(mode=0o755)
    url = f"sqlite:///{folder}/b.db"
    with other(APPEND, url, user=STRANGER, group=STRANGER) as process:
        said = process.finish()
    assert said.startswith("BufferConfigError")
    assert str(folder) in said
    assert "group" in said
    buffer = open_buffer(url)
    buffer.close()
    with other(APPEND, url, user=STRANGER, group=STRANGER) as process:
        said = process.finish()
    assert said.startswith("BufferConfigError")
    assert "group" in said
