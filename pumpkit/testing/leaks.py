"""Finding secrets where they must not show."""

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Set
from typing import Any
from urllib.parse import unquote

from pumpkit.config.masking import Masks
from pumpkit.testing.case import Failed

#: Characters of the shortest secret that is looked for; a shorter one may stand anywhere by chance.
SHORTEST = 6

#: What is told instead of a secret.
MASK = "***"


def secrets_in(meta: Mapping[str, Any], declared: Set[str]) -> set[str]:
    """Return the secrets in settings: values that are declared or named as such, and passwords inside of URLs."""
    found: set[str] = set()
    for settings in (declared, frozenset()):  # a URL that is a secret as a whole has a password in it too
        masks = Masks({"conformance": settings})
        masks.mask({"pumps": {"conformance": {"meta": dict(meta)}}})
        found |= set(masks.secrets.values())
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if len(secret) >= SHORTEST}


def whole(error: BaseException | None) -> str:
    """Return what a traceback shows of an error and of those that led to it."""
    parts = []
    while error is not None:
        parts += [f"{type(error).__name__}: {error}", repr(error), *getattr(error, "__notes__", ())]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(parts)


class Ear:
    """Takes texts that people may see, and finds secrets in them."""

    def __init__(self, secrets: Set[str]) -> None:
        self._secrets = secrets

    def hear(self, what: str, text: str) -> None:
        """Raise Failed if there is a secret in a text."""
        masked = text
        for secret in sorted(self._secrets, key=len, reverse=True):  # one may be a part of another
            masked = masked.replace(secret, MASK)
        if masked != text:
            before, _, after = masked.partition(MASK)
            words = f"{what} shows a secret of the settings: {before[-80:] + MASK + after[:80]!r}"
            raise Failed(f"{words}; type the setting `Secret`, and show no more of it than that it is there")

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what the block logs, at every level, and prints. Raises Failed after it."""
        text = io.StringIO()
        handler, root = logging.StreamHandler(text), logging.getLogger()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
        self.hear("what is logged or printed", text.getvalue())
