"""Go structs as maps: which field is called what here, and which values it takes from the wire and to it.

Values are read as Go's msgpack decoders read them: nil is the field's zero value, binary is as good as text, an
integer as good as a float, and anything else of another type is refused. Text that is not UTF-8 keeps its bytes as
lone surrogates (Python's `surrogateescape`). A field that the struct does not have stays in the record under the
snake_case form of its name. An unsigned integer beyond 63 bits stays what it is.
"""

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgpack

from pumpkit.dialects.names import snake_case
from pumpkit.dialects.times import read_time, to_unix
from pumpkit.values import MAX_DEPTH

#: Different layouts of a struct (which fields, in which order) that have a function of their own, and the most fields.
_MAX_LAYOUTS = 64
_MAX_FIELDS = 100

#: Returns the fields of a map under our names. Raises TypeError or ValueError, naming the field.
Read = Callable[[dict[Any, Any]], dict[str, Any]]


class Kind(NamedTuple):
    """What a field may hold: `plain` are the types that need no conversion in either direction."""

    plain: frozenset[type]
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    zero: Any  # as written


def _read_text(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is bytes:
        return value.decode(errors="surrogateescape")
    if type(value) is str:
        return value
    raise TypeError(f"must be text, not {type(value).__name__}")


def _write_text(value: Any) -> str:
    """Return text; lists and maps, which Go has as JSON text, become that."""
    if type(value) is str and value.isascii():  # as it mostly is
        return value
    if isinstance(value, list | tuple | dict | bool | int | float):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = _read_text(value)
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair that stands for no byte
        text = text.encode(errors="surrogatepass").decode(errors="surrogateescape")
    return text


def _int(value: Any) -> int:
    if type(value) is int:
        return value
    if value is None:
        return 0
    raise TypeError(f"must be an integer, not {type(value).__name__}")


def _flag(value: Any) -> bool:
    if type(value) is bool:
        return value
    if value is None:
        return False
    raise TypeError(f"must be true or false, not {type(value).__name__}")


def _float(value: Any) -> float:
    if type(value) in (float, int):
        return float(value)
    if value is None:
        return 0.0
    raise TypeError(f"must be a number, not {type(value).__name__}")


def _anything(value: Any, depth: int = 4) -> Any:
    """Return a wire value of a value of any kind that msgpack can hold."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nests deeper than {MAX_DEPTH} levels")
    if type(value) is list:
        return [_anything(inner, depth + 1) for inner in value]
    if type(value) is dict:
        return {_read_text(key): _anything(inner, depth + 1) for key, inner in value.items()}
    return read_time(value) if type(value) is msgpack.Timestamp else value


def _write_anything(value: Any) -> Any:
    if type(value) is datetime.datetime:
        return msgpack.Timestamp(*to_unix(value))
    if type(value) is list:
        return [_write_anything(inner) for inner in value]
    if type(value) is dict:
        return {_write_text(key): _write_anything(inner) for key, inner in value.items()}
    return _write_text(value) if type(value) is str else value


TEXT = Kind(frozenset({str}), _read_text, _write_text, "")
INT = Kind(frozenset({int}), _int, _int, 0)
FLOAT = Kind(frozenset({float}), _float, _float, 0.0)
FLAG = Kind(frozenset({bool}), _flag, _flag, False)
ANY = Kind(frozenset({type(None), bool, int, float, str, bytes, datetime.datetime}), _anything, _write_anything, None)
#: A time as the array of seconds and nanoseconds that msgpack v2 writes.
TIME = Kind(frozenset(), read_time, lambda value: list(to_unix(value)), list(to_unix(None)))


def list_of(kind: Kind) -> Kind:
    """Return the kind of a Go slice, whose nil is an empty list."""

    def read(value: Any) -> list[Any]:
        if type(value) is not list and value is not None:
            raise TypeError(f"must be a list, not {type(value).__name__}")
        return [one if type(one) in kind.plain else kind.read(one) for one in value or ()]

    def write(value: Any) -> list[Any] | None:
        return [kind.write(one) for one in value] if value else None

    return Kind(frozenset(), read, write, None)


def map_of(kind: Kind) -> Kind:
    """Return the kind of a Go map with text keys, whose nil is an empty map."""

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict and value is not None:
            raise TypeError(f"must be a map, not {type(value).__name__}")
        return {_read_text(key): kind.read(one) for key, one in (value or {}).items()}

    def write(value: Any) -> dict[str, Any] | None:
        return {_write_text(key): kind.write(one) for key, one in value.items()} if value else None

    return Kind(frozenset(), read, write, None)


def _reader(names: list[str], kinds: list[Kind]) -> Read:
    """Return what reads maps whose values are these fields, in this order."""

    def each(fields: dict[Any, Any]) -> dict[str, Any]:
        record = {}
        for name, kind, value in zip(names, kinds, fields.values(), strict=True):
            try:
                record[name] = value if type(value) in kind.plain else kind.read(value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from None
        return record

    return _compiled(names, kinds, each) if 0 < len(names) <= _MAX_FIELDS else each


def _compiled(names: list[str], kinds: list[Kind], each: Read) -> Read:
    """Return a function that does what `each` does, written out for these fields: it takes half the time.

    What it meets and does not expect is left to `each`, errors too.
    """
    known: dict[str, Any] = {"each": each}
    checks, entries = [], []
    for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        value = f"v{index}"
        if len(kind.plain) == 1:
            [known[f"t{index}"]] = kind.plain
            checks.append(f"type({value}) is t{index}")
        else:
            known[f"t{index}"], known[f"r{index}"] = kind.plain, kind.read
            value = (
                f"{value} if type({value}) in t{index} else r{index}({value})" if kind.plain else f"r{index}({value})"
            )
        entries.append(f"{name!r}: {value}")
    source = f"""
def read(fields):
    {"".join(f"v{index}, " for index in range(len(names)))} = fields.values()
    if {" and ".join(checks) or "True"}:
        try:
            return {{{", ".join(entries)}}}
        except (TypeError, ValueError):
            pass
    return each(fields)
"""
    exec(source, known)
    read: Read = known["read"]
    return read


class Struct:
    """A Go struct: `names` maps Go's field names to ours, `kinds` has those of fields that are not text."""

    def __init__(self, names: Mapping[str, str], /, **kinds: Kind) -> None:
        self.names = dict(names)
        self.kinds = {name: kinds.get(name, TEXT) for name in names.values()}
        self._readers: dict[tuple[Any, ...], Read] = {}

    @property
    def kind(self) -> Kind:
        """The kind of a field that holds this struct."""
        return Kind(frozenset(), self.read, self.write, self.write({}))

    def read(self, fields: Any) -> dict[str, Any]:
        """Return the fields of a decoded map under our names. Raises TypeError or ValueError, naming the field."""
        if type(fields) is not dict:
            if fields is None:
                return {}
            raise TypeError(f"must be a map, not {type(fields).__name__}")
        keys = tuple(fields)
        read = self._readers.get(keys)
        if read is None:
            names = self._names_of(keys)
            read = _reader(names, [self.kinds.get(name, ANY) for name in names])
            if len(self._readers) < _MAX_LAYOUTS:
                self._readers[keys] = read
        return read(fields)

    def _names_of(self, keys: tuple[Any, ...]) -> list[str]:
        """Return our names of these keys, each once."""
        texts = [_read_text(key) for key in keys]
        own = {text for text in texts if text in self.names}
        taken = {self.names[text] for text in own}
        names = []
        for text in texts:
            name = self.names[text] if text in own else snake_case(text)
            if text in own:
                own.remove(text)  # the same name again, as bytes, is nobody's field
            else:
                while name in taken:
                    name += "_"
                taken.add(name)
            names.append(name)
        return names

    def write(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record under Go's names, in Go's order, with every field: zero where it has none.

        Fields that Go does not know are left out. Raises TypeError or ValueError, naming the field.
        """
        if not isinstance(record, Mapping):
            raise TypeError(f"must be a map, not {type(record).__name__}")
        fields = {}
        for go, name in self.names.items():
            kind = self.kinds[name]
            value = record.get(name)
            try:
                fields[go] = kind.zero if value is None else kind.write(value)
            except (TypeError, ValueError, AttributeError) as error:
                raise TypeError(f"{name}: {error}") from None
        return fields
