"""When documents are removed: the field with that time, which an index of the collection watches."""

import datetime

import attrs

from pumpkit import Record
from pumpkit_mongo.times import moment

#: Before this a time is taken for none: Go's zero time is in year 1, and would remove a document at once.
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@attrs.frozen
class Expiry:
    """Fills in `field`: the record's own, or the record's time in `time_field` and so many `seconds`."""

    field: str
    time_field: str
    seconds: float | None

    def __call__(self, record: Record) -> None:
        """Give a record the time to be removed at, as a datetime. What is there and is no time keeps it for ever."""
        value = record.get(self.field)
        own = _time(value)
        if own is not None and own > _EPOCH:
            record[self.field] = own
        elif self.seconds is not None and (value is None or own is not None):
            record[self.field] = self._after(record, self.seconds)
        elif own is not None:
            record[self.field] = None

    def _after(self, record: Record, seconds: float) -> datetime.datetime | None:
        """Return the time so long after the record's own; one without counts from now."""
        began = _time(record.get(self.time_field)) or datetime.datetime.now(datetime.UTC)
        try:
            return began + datetime.timedelta(seconds=seconds)
        except OverflowError:  # beyond the year 9999
            return None


def _time(value: object) -> datetime.datetime | None:
    try:
        return moment(value)
    except ValueError:
        return None
