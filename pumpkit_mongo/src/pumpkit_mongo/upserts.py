"""`mode: upsert`: of all records that agree in some fields, the last one is kept."""

from collections.abc import Sequence
from typing import Any

import attrs
import bson
from pymongo import ReplaceOne

from pumpkit import Record, Records
from pumpkit_mongo.documents import Part

#: The field with the record id, which is no `_id` here; a record's own field of that name stays.
RECORD_ID = "record_id"


@attrs.frozen
class Upserts:
    """Makes replacements of documents that agree in the fields `by`."""

    by: Sequence[str]

    @property
    def index(self) -> str:
        """The name of the unique index over the fields, as the driver makes it."""
        return "_".join(f"{field}_1" for field in self.by)

    def keeps(self, fields: Sequence[str] | None) -> bool:
        """Return whether a duplicate in the index over these fields, or of this name, is one of the fields `by`."""
        return fields is not None and (sorted(fields) == sorted(self.by) or list(fields) == [self.index])

    def last(self, part: Part, records: Records, rejected: dict[int, str]) -> tuple[Part, dict[int, list[int]]]:
        """Return the last document of all that agree, and the places of the others by that of the last.

        A record that lacks one of the fields, or has a list in it, is added to `rejected`.
        """
        agreeing: dict[bytes, list[int]] = {}
        for at, place in enumerate(part.places):
            fault = self._fault(records[place])
            if fault:
                rejected[place] = fault
            else:
                agreeing.setdefault(bson.encode({field: records[place][field] for field in self.by}), []).append(at)
        kept = sorted(places[-1] for places in agreeing.values())
        earlier = {part.places[at[-1]]: [part.places[one] for one in at[:-1]] for at in agreeing.values()}
        return Part(part.collection, [part.places[at] for at in kept], [part.documents[at] for at in kept]), earlier

    def _fault(self, record: Record) -> str:
        """Return why a record cannot be found again by the fields; empty if it can."""
        lacking = [field for field in self.by if record.get(field) is None]
        if lacking:
            return f"it has no {', '.join(lacking)}, and `upsert-by` needs it"
        lists = [field for field in self.by if isinstance(record[field], list | tuple)]
        # An index has an entry for each item of a list, and no filter finds the document by all of them.
        return f"it has a list in {', '.join(lists)}, by which `upsert-by` finds no document" if lists else ""

    def replacement(self, record: dict[str, Any]) -> ReplaceOne[dict[str, Any]]:
        """Return what puts a record in the place of the one that agrees with it."""
        fields = {RECORD_ID: record["_id"], **record}
        del fields["_id"]
        # `$eq`, since a record's value may look like an operator, and would then choose other documents.
        return ReplaceOne({field: {"$eq": record[field]} for field in self.by}, fields, upsert=True)
