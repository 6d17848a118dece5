"""The check of `reporter=`, which every feed takes: a wrong one is refused when the feed is made."""

import inspect

from pumpkit.reporter import Reporter


def check_reporter(reporter: object, *methods: str) -> None:
    """Raise TypeError unless this can be a feed's reporter: None, a `Reporter`, or an object that has its methods.

    methods: names of the methods that are needed; `record` if none is named. They must not be asynchronous.
    """
    if reporter is None or isinstance(reporter, Reporter):
        return
    for name in methods or ("record",):
        method = getattr(reporter, name, None)
        if isinstance(reporter, type) or not callable(method) or inspect.iscoroutinefunction(method):
            raise TypeError(
                f"reporter={reporter!r:.200}: it must be a pumpkit.Reporter, or None for that of the process"
            )
