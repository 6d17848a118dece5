"""An application and the runner as two users who share one buffer by a group, as docs/how-to/share-a-buffer.md says."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import pytest

from tests.conftest import missing

PUMPKIT = Path(sys.executable).with_name("pumpkit")
DEADLINE = 60.0  # seconds; only a failure waits that long

# User ids that nobody has; the runner's own group is the one that is shared.
RUNNER, APPLICATION, STRANGER = 64_001, 64_002, 64_003
SHARED = RUNNER

REPORT = """
import pumpkit

with pumpkit.Reporter(source="shop") as reporter:
    for number in range(100):
        reporter.record({"number": number})
"""


def as_user(user: int, *groups: int) -> list[str]:
    """Return the beginning of a command line that runs the rest as another user.

    The users may read everything, or they could not run a Python that is installed below root's home; what they may
    write is up to owners and modes.
    """
    more = [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    caps = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={user}", f"--regid={user}", *more, *caps, "--"]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that the how-to page makes, with a configuration in it; the buffer is named by the environment."""
    if os.geteuid() != 0:
        missing("root", "two users need it; run the tests as root")
    if which("setpriv") is None:
        missing("setpriv", "apt-get install util-linux")
    folder = tmp_path / "pumpkit"
    folder.mkdir()
    os.chown(folder, RUNNER, SHARED)
    folder.chmod(0o2770)
    (folder / "pumpkit.yaml").write_text(
        "health-check-address: null\npumps: {audit: {type: csv, meta: {csv-dir: csv}}}\n"
    )
    for name in [name for name in os.environ if name.startswith("PUMPKIT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PUMPKIT_BUFFER", f"sqlite:///{folder}/buffer.db")
    return folder


def report(shared: Path, user: list[str]) -> str:
    """Report 100 records as a user, with the usual umask; return what the application said on stderr."""
    command = [*user, sys.executable, "-c", REPORT]
    done = subprocess.run(command, cwd=shared.parent, capture_output=True, text=True, timeout=DEADLINE, umask=0o022)
    assert done.returncode == 0, done.stderr
    return done.stderr


def delivered(shared: Path, user: list[str]) -> tuple[int, int]:
    """Return what `pumpkit status` tells a user of the pump: delivered, and lag."""
    command = [*user, str(PUMPKIT), "status", "--json"]
    done = subprocess.run(command, cwd=shared, capture_output=True, text=True, timeout=DEADLINE)
    pump = json.loads(done.stdout)["pumps"]["audit"]
    return pump.get("delivered", 0), pump.get("lag", 0)


def test_two_users_share_a_buffer(shared: Path) -> None:
    """Whichever of the two makes the files, the other can write them: records go on before, during and after a run."""
    application, runner = as_user(APPLICATION, SHARED), as_user(RUNNER)
    assert report(shared, application) == ""
    made = (shared / "buffer.db").stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (APPLICATION, SHARED, 0o660)

    with (shared.parent / "log").open("w") as log:
        process = subprocess.Popen([*runner, str(PUMPKIT), "run"], cwd=shared, stderr=log, umask=0o022)
        try:
            assert report(shared, application) == ""
            end = time.monotonic() + DEADLINE
            while delivered(shared, application) != (200, 0):
                assert process.poll() is None, (shared.parent / "log").read_text()
                assert time.monotonic() < end, (shared.parent / "log").read_text()
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(DEADLINE)
    assert code == 0, (shared.parent / "log").read_text()
    assert report(shared, application) == ""
    assert delivered(shared, application) == delivered(shared, runner) == (200, 100)


def test_a_user_outside_the_group_is_told(shared: Path) -> None:
    """An application that is not in the group says what it may not write, and that its records were not sent."""
    report(shared, as_user(APPLICATION, SHARED))
    said = report(shared, as_user(STRANGER))
    assert str(shared) in said
    assert "100 records could not be sent" in said
