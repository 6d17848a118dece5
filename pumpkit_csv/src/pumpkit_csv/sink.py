"""The sink: its settings and its hooks."""

import contextlib
import logging
from pathlib import Path
from typing import ClassVar, Literal

import attrs

from pumpkit import ByteSize, ConfigError, PartialWrite, PumpConfig, Records, hookimpl, key
from pumpkit_csv import names
from pumpkit_csv.disk import make_directory, verdict
from pumpkit_csv.folder import Folder, Rotate, utc_now
from pumpkit_csv.lock import DirectoryLock
from pumpkit_csv.table import Layout, Table

log = logging.getLogger(__name__)


def _check_prefix(sink: "CsvSink", _: object, prefix: str) -> None:
    if prefix and not names.PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} must be letters, digits and . _ -, at most 64, beginning with a letter or digit")


def _check_fields(sink: "CsvSink", _: object, fields: list[str]) -> None:
    twice = sorted({field for field in fields if fields.count(field) > 1})
    if twice:
        raise ValueError(f"names {', '.join(twice)} twice")


def _check_id_field(sink: "CsvSink", _: object, id_field: str) -> None:
    if id_field in sink.fields:
        raise ValueError(f"{id_field} is one of `fields` too; choose another name for the column of the record id")


@attrs.define(eq=False)
class CsvSink:
    """Writes records to CSV files, each exactly once and in order."""

    ordered: ClassVar[bool] = True
    duplicates: ClassVar[Literal["never", "possible"]] = "never"

    csv_dir: Path = key(about="The directory of the files; it is made if it is missing. One pump writes to it.")
    prefix: str = key(
        "", about="What the names of files begin with. Default: the pump's name.", validator=_check_prefix
    )
    fields: list[str] = key(
        about="The columns, in order; other fields are left out. Default: every field, a new one begins a new file.",
        factory=list,
        validator=_check_fields,
    )
    id_field: str = key(
        "",
        about="A first column of this name holds the record id. Default: no such column.",
        validator=_check_id_field,
    )
    rotate: Rotate = key("hourly", about="When the next file begins: with an hour or a day in UTC, or never.")
    max_bytes: ByteSize = key(
        ByteSize(100 << 20),
        about="The next file begins before one grows beyond this; a batch is never split.",
        validator=attrs.validators.ge(1),
    )
    escape_formulas: bool = key(
        True, about="Put ' before text that a spreadsheet would take for a formula (beginning with = + - @ TAB CR)."
    )
    newline: Literal["lf", "crlf"] = key("lf", about="How a line ends.")

    _folder: Folder | None = attrs.field(default=None, init=False)
    _table: Table = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        end = "\r\n" if self.newline == "crlf" else "\n"
        self._table = Table(Layout(tuple(self.fields), self.id_field, self.escape_formulas, end), ())

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Make the directory, lock it, and cut off what was never acknowledged."""
        try:
            make_directory(self.csv_dir)
            lock = DirectoryLock.take(self.csv_dir)
            prefix = self.prefix or config.name
            folder = Folder(self.csv_dir, prefix, self.max_bytes, self.rotate, utc_now, lock)
            try:
                folder.recover()
            except BaseException:
                folder.release()
                raise
        except OSError as error:
            raise verdict(error, self.csv_dir) from error
        self._folder = folder

    @hookimpl
    def write_data(self, records: Records, ids: list[str], late: bool) -> None:
        """Append what is not written yet. Raises PartialWrite, Unavailable or ConfigError."""
        folder = self._folder
        if folder is None:
            raise RuntimeError("write_data before init, or after close")
        try:
            rejected = self._write(folder, records, ids, late)
        except OSError as error:
            with contextlib.suppress(OSError, ConfigError):
                folder.recover()  # now, so that no half of a row stays and space is given back
            raise verdict(error, self.csv_dir) from error
        if rejected:
            raise PartialWrite(rejected)

    def _write(self, folder: Folder, records: Records, ids: list[str], late: bool) -> dict[int, str]:
        if not folder.ready:
            folder.recover()
        seen = folder.state.seen
        fresh = seen.fresh(ids, late)
        if not fresh:
            return {}
        new = ids
        if len(fresh) < len(ids):
            records, new = [records[index] for index in fresh], [ids[index] for index in fresh]
        encoded = self._table.with_columns(folder.state.columns).encode(records, new)
        refused = [new[index] for index in encoded.rejected]
        self._table = encoded.table
        folder.append(encoded.lines, self._table.header, self._table.columns, seen.after(ids, refused, late))
        return {fresh[index]: reason for index, reason in encoded.rejected.items()}

    @hookimpl
    def close(self) -> None:
        """Give the live file its public name and the directory back."""
        folder, self._folder = self._folder, None
        if folder is None:
            return
        try:
            folder.finish()
        except (OSError, ConfigError) as error:
            reason = verdict(error, self.csv_dir) if isinstance(error, OSError) else error
            log.warning("the live file keeps its .part name until the next start: %s", reason)
        finally:
            folder.release()
