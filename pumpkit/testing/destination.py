"""What the kit has to know of the place that a sink writes to: its author says it, in one class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import attrs

from pumpkit.hookspecs import Record


@attrs.frozen
class Arrived:
    """One record as it was read back: under which id (None where none is kept), and what is there."""

    id: str | None
    record: Record


class Destination:
    """Where a sink under test writes. Each case gets a fresh, empty one, and closes it.

    One case makes two, before it writes to either: what is in one must not be in the other.

    `meta` and `read` are what every destination has. Each other method is an ability that some cases need. A
    destination that has not the ability says why in `cannot`, as `{"stop": "a folder is always there"}`; a case that
    needs it is then not applicable. A method that is neither written nor in `cannot` fails the cases that need it.
    """

    #: Abilities that it has not, and why.
    cannot: ClassVar[Mapping[str, str]] = {}

    #: Cases that the sink is known to fail here, each with the reason: a declared gap.
    gaps: ClassVar[Mapping[str, str]] = {}

    def __init__(self, folder: Path) -> None:
        """Make it empty; `folder` is an empty folder of its own."""
        self.folder = folder

    def meta(self) -> dict[str, Any]:
        """Return the settings that lead a sink here, as under `meta` in pumpkit.yaml."""
        raise NotImplementedError("say which settings lead to the destination")

    def read(self) -> Sequence[Arrived]:
        """Return everything that is there now, each as often as it is there."""
        raise NotImplementedError("say how to read back what arrived")

    def expected(self, record: Record) -> Record:
        """Return how a record looks when it is read back; without this method, as it was sent."""
        return record

    def close(self) -> None:
        """Release what it took."""

    # Abilities ----------------------------------------------------------------------------------------------

    def read_in_order(self) -> Sequence[Arrived]:
        """Return everything that is there now, in the order in which it was written."""
        _must_be_written("read_in_order")

    def stop(self) -> None:
        """Go away: no connection is taken, those that are open end."""
        _must_be_written("stop")

    def start(self) -> None:
        """Come back after `stop`, at the same place, with what was there."""
        _must_be_written("start")

    def hang(self) -> None:
        """From now on take what is sent, and answer nothing, until `unhang`."""
        _must_be_written("hang")

    def unhang(self) -> None:
        """End `hang`."""
        _must_be_written("unhang")

    def busy(self, seconds: int) -> None:
        """Refuse everything from now on, asking for a pause of so many seconds before the next try."""
        _must_be_written("busy")

    def poison(self) -> Record:
        """Return a record that can never be stored here; each call returns one, alike or not."""
        _must_be_written("poison")

    def bad_login(self) -> dict[str, Any]:
        """Return settings that lead here with credentials that are refused."""
        _must_be_written("bad_login")


#: The methods that a destination may lack, if it says why.
ABILITIES = ("read_in_order", "stop", "start", "hang", "unhang", "busy", "poison", "bad_login")


def lacks(destination: Destination, ability: str) -> bool:
    """Return whether a destination has not written an ability."""
    return getattr(type(destination), ability) is getattr(Destination, ability)


def _must_be_written(ability: str) -> NoReturn:
    raise NotImplementedError(f"write the method `{ability}` of the destination, or say in `cannot` why there is none")
