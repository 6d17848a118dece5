"""What both originals say of how often they drain, and of their health."""

from pumpkit.config.legacy.translation import Item, Translation

#: What the health endpoint serves anyway, and answers like the path that can be chosen.
_SERVED = ("livez", "readyz")


def put_delay(translation: Translation, item: Item | None, default: int | None) -> None:
    """Put `purge-delay`. Of 0 the originals never drain, which nobody means: then it is the default of pumpkit."""
    if item is None:
        if default is not None:
            translation.put(("purge-delay",), default, "")
    elif item.value:
        translation.put(("purge-delay",), item.kept, item.path)
    else:
        translation.note(item.path, "is 0, of which the original never drains; here it is the default, 0.2 s")


def put_path(translation: Translation, item: Item | None, default: str) -> None:
    """Put `health-check-path`."""
    if item is None:
        translation.put(("health-check-path",), default, "")
    elif item.value.strip("/") in _SERVED:
        translation.note(item.path, f"is served anyway; the check of every pump is at {default} besides")
        translation.put(("health-check-path",), default, item.path)
    else:
        translation.put(("health-check-path",), item.kept, item.path)


def with_host(address: str) -> str:
    """Return an address with a host: without one, the originals serve every network."""
    return f"0.0.0.0{address}" if address.startswith(":") else address
