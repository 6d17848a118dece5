"""The URL of a reporter's buffer. A relative path in it stays where it was, though the program changes its folder."""

from pathlib import Path

import pumpkit


def absolute(url: str, folder: str = "") -> str:
    """Return a URL with the path of a SQLite file absolute, seen from a folder: by default the working directory."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path[0] in "/:~?":
        return url
    return f"sqlite:///{Path(folder or Path.cwd(), path)}"


def default() -> str:
    """Return the URL where a reporter was given none. It loads modules of the buffers: see `process.importing`."""
    from pumpkit.buffers import registry

    return absolute(registry.default_url(), pumpkit._began_in)
