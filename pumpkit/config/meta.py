"""A plugin's own settings, as its `new` hook gets them."""

from pathlib import Path
from typing import Any, TypeVar

import attrs

from pumpkit.config.problems import Where
from pumpkit.config.structure import structure

T = TypeVar("T")


@attrs.frozen
class Meta:
    """The `meta` of one pump: the values as the file has them, and where they stand in it.

    `path` is the key path of the mapping (`pumps.audit.meta`), `base` the folder that relative paths start from.
    """

    values: dict[str, Any] = attrs.field(factory=dict, repr=False)
    where: Where = attrs.field(factory=Where)
    path: str = "meta"
    base: Path = attrs.field(factory=Path)

    def into(self, cls: type[T]) -> T:
        """Return the settings as an attrs class, strictly.

        Raises ConfigInvalid with every problem, by file, line and key path.
        """
        return structure(self.values, cls, self.where, self.path, self.base)
