"""The time that a record gives itself."""

import datetime


def moment(value: object) -> datetime.datetime:
    """Return a time in UTC, of a datetime, of Unix seconds, or of text in ISO 8601 (UTC where it names no zone).

    Raises ValueError for anything else.
    """
    if type(value) is datetime.datetime and value.tzinfo is datetime.UTC:  # as it comes from the log
        return value
    try:
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        if isinstance(value, datetime.datetime):
            return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError("it must be a datetime, Unix seconds, or text in ISO 8601")
