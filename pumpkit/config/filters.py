"""The filters of a pump as they stand in the file: `include`, `exclude`, and the originals' names for some of both."""

import difflib
from typing import Any

from pumpkit.config import scalars
from pumpkit.config.model import Filters, Scalar
from pumpkit.config.problems import Finding, Refused, join

#: Lists of the Go originals (iam-pump has the first, Tyk Pump the others) and the record's field each filters by;
#: with `skip_` before it, a list excludes. Either spelling: `skip_usernames`, `skip-usernames`.
SUGAR = {"usernames": "username", "api_ids": "api_id", "org_ids": "org_id", "response_codes": "response_code"}


def read_filters(value: Any) -> Filters:
    """Return filters, where a single value may stand for a list of one. Raises Refused."""
    sides: dict[str, dict[str, list[Scalar]]] = {"include": {}, "exclude": {}}
    findings: list[Finding] = []
    for key, given in scalars.mapping(value, lambda values: values).items():
        try:
            side, fields = _read(key, given)
            for field, values in fields.items():
                if field in sides[side]:
                    raise Refused(("", f"says again what stands at {side}.{field}; keep one of them"))
                sides[side][field] = values
        except Refused as error:
            findings += error.under(join("", key))
    if findings:
        raise Refused(*findings)
    return Filters(**sides)


def _read(key: str, given: Any) -> tuple[str, dict[str, list[Scalar]]]:
    """Return `include` or `exclude` and what one key adds to it: field -> values."""
    if key == "include":
        return key, scalars.mapping(given, _some_values)
    if key == "exclude":
        return key, scalars.mapping(given, _values)
    name = key.replace("-", "_")
    field = SUGAR.get(name.removeprefix("skip_"))
    if field is None:
        known = ["include", "exclude", *SUGAR, *(f"skip_{name}" for name in SUGAR)]
        near = difflib.get_close_matches(name.lower(), known, 1)
        advice = f"did you mean {near[0]}?" if near else f"filter by a field with include: {{{name}: [...]}}"
        raise Refused(("", f"unknown filter; {advice}"))
    values = _values(given)
    return "exclude" if name.startswith("skip_") else "include", {field: values} if values else {}


def _values(given: Any) -> list[Scalar]:
    if not isinstance(given, list | dict) and given is not None:
        given = [given]
    return scalars.sequence(given, scalars.scalar)


def _some_values(given: Any) -> list[Scalar]:
    values = _values(given)
    if not values:
        raise Refused(("", "has no values, so no record would pass; remove it"))
    return values
