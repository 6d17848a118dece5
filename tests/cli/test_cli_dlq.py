"""`pumpkit dlq`: dead letters listed, shown, replayed and purged, without a runner."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from pumpkit.buffers import Buffer
from pumpkit.buffers.base import DeadLetter

Run = Callable[..., Result]
Bury = Callable[..., list[DeadLetter]]


def test_ls_without_any(cli: Run, url: str, buffer: Buffer) -> None:
    """No dead letters is said, and as JSON is an empty list."""
    assert cli("dlq", "ls", "--buffer", url).output == "no dead letters\n"
    assert json.loads(cli("dlq", "ls", "--buffer", url, "--json").output) == []


def test_ls(cli: Run, url: str, bury: Bury) -> None:
    """Every pump's dead letters are listed with id, time, kind, attempts and reason."""
    one, two = bury("audit", {"n": 1}, {"n": 2}, reason="no such column")
    [three] = bury("search", {"n": 3}, kind="unknown", reason="timed out")
    lines = cli("dlq", "ls", "-b", url).output.splitlines()
    assert lines[0].split() == ["id", "pump", "at", "kind", "attempts", "marked", "reason"]
    assert [line.split()[:2] for line in lines[1:]] == [[one.id, "audit"], [two.id, "audit"], [three.id, "search"]]
    assert "2023-11-14T22:13:20Z  rejected         5          no such column" in lines[1]


def test_ls_filters(cli: Run, url: str, bury: Bury) -> None:
    """--pump, --kind and --limit choose; what the limit leaves out is said."""
    bury("audit", {"n": 1}, {"n": 2})
    bury("audit", {"n": 3}, kind="timeout")
    bury("search", {"n": 4})

    def count(*options: str) -> int:
        return len(json.loads(cli("dlq", "ls", "-b", url, "--json", *options).stdout))

    assert (count(), count("--pump", "audit"), count("--kind", "timeout"), count("--limit", "1")) == (4, 3, 1, 1)
    assert count("--pump", "search", "--kind", "timeout") == 0
    assert "more than these 2" in cli("dlq", "ls", "-b", url, "--limit", "2").stderr


def test_ls_pages(cli: Run, url: str, bury: Bury, monkeypatch: pytest.MonkeyPatch) -> None:
    """More dead letters than are read at a time are all listed, once."""
    monkeypatch.setattr("pumpkit.cli.letters.PAGE", 3)
    ids = [letter.id for letter in bury("audit", *({"n": n} for n in range(10)))]
    listed = json.loads(cli("dlq", "ls", "-b", url, "--json").output)
    assert sorted(letter["id"] for letter in listed) == sorted(ids)


def test_show(cli: Run, url: str, bury: Bury) -> None:
    """One dead letter is shown with everything known of it and its record; as JSON too."""
    import datetime

    at = datetime.datetime(2025, 1, 2, tzinfo=datetime.UTC)
    record = {"user": "zoë", "raw": b"\x00\xff", "at": at, "tags": ["a", {"b": None}]}
    [letter] = bury("audit", record, reason="no such column")
    text = cli("dlq", "show", "-b", url, letter.id).output
    for part in (letter.id, "pump        audit", "reason      no such column", "attempts    5", '"user": "zoë"'):
        assert part in text
    [document] = json.loads(cli("dlq", "show", "-b", url, letter.id, "--json").output)
    assert document["record"] == {
        "user": "zoë",
        "raw": {"$bytes": "AP8="},
        "at": "2025-01-02T00:00:00+00:00",
        "tags": ["a", {"b": None}],
    }
    assert (document["kind"], document["attempts"], document["pump"]) == ("rejected", 5, "audit")


def test_show_is_safe(cli: Run, url: str, bury: Bury) -> None:
    """Control characters in a record or a reason are escaped, lone surrogates too."""
    [letter] = bury("audit", {"user": "\x1b]0;owned\x07\x9b2J\u202e\udc80"}, reason="bad \x1b[2J value\nError: fake")
    for words in (("show", letter.id), ("show", letter.id, "--json"), ("ls",), ("ls", "--json")):
        output = cli("dlq", words[0], "-b", url, *words[1:]).output
        assert all(char.isprintable() for line in output.splitlines() for char in line)
        assert not any(line.startswith("Error: fake") for line in output.splitlines())


def test_show_bad_frame(cli: Run, url: str, buffer: Buffer, bury: Bury) -> None:
    """What cannot be read as a record is shown as its bytes."""
    [letter] = bury("audit", {"n": 1})
    from contextlib import closing

    with closing(buffer.cursor("audit")) as cursor:
        cursor.resolve((), (), [letter._replace(kind="bad-frame", record=b"\xc1junk")])
    [document] = json.loads(cli("dlq", "show", "-b", url, letter.id, "--json").output)
    assert document["record"] == {"$bytes": "wWp1bms="}
    assert "$bytes" in cli("dlq", "show", "-b", url, letter.id).output


def test_show_in_two_pumps(cli: Run, url: str, buffer: Buffer, bury: Bury) -> None:
    """A record that two pumps gave up on is shown twice, and --pump chooses."""
    from contextlib import closing

    from pumpkit.buffers.base import Counts

    [letter] = bury("audit", {"n": 1})
    with closing(buffer.cursor("search")) as cursor:
        assert cursor.fetch(10, 1 << 20)[0].position == letter.position
        cursor.commit(letter.position, Counts(dead=1), [letter])
    shown = json.loads(cli("dlq", "show", "-b", url, letter.id, "--json").output)
    assert [document["pump"] for document in shown] == ["audit", "search"]
    [document] = json.loads(cli("dlq", "show", "-b", url, letter.id, "--json", "-p", "search").output)
    assert document["pump"] == "search"


def marks(buffer: Buffer, pump: str) -> list[Any]:
    """Return what a pump's dead letters are marked for."""
    return sorted((letter.mark for letter in buffer.dead_letters(pump)), key=str)


def test_replay_one(cli: Run, url: str, buffer: Buffer, bury: Bury) -> None:
    """`replay ID` marks that one, and warns that no runner is there to write it."""
    one, _ = bury("audit", {"n": 1}, {"n": 2})
    result = cli("dlq", "replay", "-b", url, one.id)
    assert result.exit_code == 0
    assert "audit: marked 1 dead letter" in result.output
    assert "no runner is running" in result.stderr
    assert {letter.id: letter.mark for letter in buffer.dead_letters("audit")}[one.id] == "replay"
    assert marks(buffer, "audit") == [None, "replay"]


def test_replay_all_of_a_kind(cli: Run, url: str, buffer: Buffer, bury: Bury) -> None:
    """--all and --kind choose, within --pump."""
    bury("audit", {"n": 1}, {"n": 2}, kind="timeout")
    bury("audit", {"n": 3})
    bury("search", {"n": 4}, kind="timeout")
    cli("dlq", "replay", "-b", url, "--kind", "timeout", "--pump", "audit")
    assert marks(buffer, "audit") == [None, "replay", "replay"]
    assert marks(buffer, "search") == [None]
    cli("dlq", "replay", "-b", url, "--all")
    assert marks(buffer, "audit") + marks(buffer, "search") == ["replay"] * 4


def test_replay_says_what_stands_in_the_way(cli: Run, url: str, buffer: Buffer, bury: Bury, workplace: Any) -> None:
    """A pump that is paused, disabled or not configured is warned of, with what to do."""
    [letter] = bury("audit", {"n": 1})
    lock = buffer.runner_lock({"pid": "1", "host": "here", "health": ""})
    try:
        assert cli("dlq", "replay", "-b", url, letter.id).stderr == ""
        buffer.set_wanted("audit", "pause")
        assert (
            "the pump is paused; `pumpkit resume audit` wakes it" in cli("dlq", "replay", "-b", url, letter.id).stderr
        )
        config = workplace / "pumpkit.yaml"
        config.write_text(f"buffer: {url}\npumps: {{other: {{type: csv, meta: {{csv-dir: x}}}}}}\n")
        assert "has no such pump" in cli("dlq", "replay", letter.id).stderr
        config.write_text(f"buffer: {url}\npumps: {{audit: {{enabled: false}}, other: {{meta: {{csv-dir: x}}}}}}\n")
        assert "the pump is disabled" in cli("dlq", "replay", letter.id).stderr
    finally:
        lock.release()


@pytest.mark.parametrize("verb", ["replay", "purge"])
def test_which_must_be_said(cli: Run, url: str, bury: Bury, verb: str) -> None:
    """Without ids, --all or --kind nothing is touched; with both neither."""
    [letter] = bury("audit", {"n": 1})
    assert cli("dlq", verb, "-b", url).exit_code == 2
    assert cli("dlq", verb, "-b", url, letter.id, "--all").exit_code == 2


@pytest.mark.parametrize("words", [("show", "no-such-id"), ("replay", "no-such-id"), ("purge", "no-such-id", "--yes")])
def test_unknown_id(cli: Run, url: str, bury: Bury, words: tuple[str, ...]) -> None:
    """An unknown id exits with 2 and says where the known ones are listed."""
    bury("audit", {"n": 1})
    result = cli("dlq", words[0], "-b", url, *words[1:])
    assert result.exit_code == 2
    assert "no dead letter 'no-such-id'; `pumpkit dlq ls` lists them" in result.stderr


def test_unknown_pump(cli: Run, url: str, bury: Bury) -> None:
    """An unknown pump exits with 2 and the nearest name."""
    bury("audit", {"n": 1})
    result = cli("dlq", "ls", "-b", url, "--pump", "adit")
    assert result.exit_code == 2
    assert "the buffer knows no pump 'adit'; did you mean 'audit'?" in result.stderr


def test_purge_asks(cli: Run, url: str, buffer: Buffer, bury: Bury) -> None:
    """Purging asks; a no changes nothing, a yes marks."""
    bury("audit", {"n": 1}, {"n": 2})
    result = cli("dlq", "purge", "-b", url, "--all", input="n\n")
    assert result.exit_code == 1
    assert "Delete 2 dead letters of audit for good?" in result.output
    assert marks(buffer, "audit") == [None, None]
    assert cli("dlq", "purge", "-b", url, "--all", input="y\n").exit_code == 0
    assert marks(buffer, "audit") == ["purge", "purge"]


def test_purge_with_yes(cli: Run, url: str, buffer: Buffer, bury: Bury) -> None:
    """--yes does not ask."""
    one, _ = bury("audit", {"n": 1}, {"n": 2})
    assert cli("dlq", "purge", "-b", url, one.id, "--yes").exit_code == 0
    assert marks(buffer, "audit") == [None, "purge"]
