"""The cases: what each is called, what it needs, and how one is run."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import attrs

from pumpkit.testing.destination import Destination, lacks

if TYPE_CHECKING:
    from pumpkit.testing.bench import Bench

Group = Literal["contract", "delivery", "verdicts", "time", "environment", "packaging"]

#: The groups, in the order of a report.
GROUPS: tuple[Group, ...] = ("contract", "delivery", "verdicts", "time", "environment", "packaging")

F = TypeVar("F", bound=Callable[..., None])


class Failed(Exception):
    """A case that the sink does not pass, in words for its author."""


def check(holds: object, words: str) -> None:
    """Raise Failed with these words if something does not hold. (An `assert` would be gone under `python -O`.)"""
    if not holds:
        raise Failed(words)


class NotApplicable(Exception):
    """The case asks for what this sink, by its own word, does not do."""


@attrs.frozen
class Case:
    """One case: `function` gets a `Bench` and fails by raising Failed, or anything else.

    `needs` are the abilities of the destination that it uses; `alone` cases use no destination at all.
    """

    name: str
    group: Group
    about: str
    needs: tuple[str, ...]
    alone: bool
    function: Callable[["Bench"], None]


#: All cases, by name.
CASES: dict[str, Case] = {}


def case(group: Group, needs: Sequence[str] = (), *, alone: bool = False) -> Callable[[F], F]:
    """Make a case of a function: its name and the first paragraph of its docstring are the case's."""

    def register(function: F) -> F:
        name = function.__name__
        if name in CASES:
            raise ValueError(f"two cases are named {name}")
        about = " ".join((function.__doc__ or "").strip().partition("\n\n")[0].split())
        CASES[name] = Case(name, group, about, tuple(needs), alone, function)
        return function

    return register


@attrs.frozen
class Result:
    """What came of a case.

    `gap` is a failure that the author has declared, with the author's reason; `not-run` is a case that needs a
    destination where none was given.
    """

    case: str
    outcome: Literal["passed", "failed", "gap", "not-applicable", "not-run"]
    reason: str = ""


def run(case: Case, bench: "Bench", gaps: Mapping[str, str] | None = None) -> Result:
    """Run a case; a declared gap has to fail, or the declaration is out of date."""
    declared = (gaps or {}).get(case.name)
    try:
        _check_needs(case, bench)
        case.function(bench)
    except NotApplicable as reason:
        return Result(case.name, "not-applicable", str(reason))
    except Exception as error:
        if declared is not None:
            return Result(case.name, "gap", declared)
        words = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        return Result(case.name, "failed", words)
    finally:
        with contextlib.suppress(Exception):
            bench.close()
    if declared is not None:
        return Result(case.name, "failed", "is declared as a gap and passes; take it out of `gaps`")
    return Result(case.name, "passed")


def _check_needs(case: Case, bench: "Bench") -> None:
    """Raise NotApplicable where the author says what the destination cannot do."""
    for ability in case.needs:
        if not can(bench.destination, ability):
            raise NotApplicable(f"no `{ability}`: {bench.destination.cannot[ability]}")


def can(destination: Destination, ability: str) -> bool:
    """Return whether a destination has an ability. Raises Failed if it neither has it nor says why not."""
    if not lacks(destination, ability):
        return True
    check(
        ability in destination.cannot,
        f"needs `{ability}`: write this method of the destination, or say in its `cannot` why there is none",
    )
    return False
