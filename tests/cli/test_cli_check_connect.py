"""`pumpkit check --connect`: what is said of buffers, of who uses them, and of sinks."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pumpkit import checking
from pumpkit.buffers import Buffer
from tests.servers.redis import RedisServer, free_port

Run = Callable[..., Result]
Store = Callable[..., list[str]]
Write = Callable[..., Path]


@pytest.fixture
def write(workplace: Path, url: str) -> Write:
    """Write a configuration of these pumps, for the buffer of the test."""

    def write(pumps: str, buffer: str = url) -> Path:
        file = workplace / "pumpkit.yaml"
        file.write_text(f"buffer: {buffer}\npumps:\n{pumps}")
        return file

    return write


def findings(result: Result) -> dict[str, list[tuple[str, str]]]:
    """Return what `--json` says: by what it is about, severity and text."""
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in json.loads(result.stdout)["findings"]:
        found.setdefault(finding["about"], []).append((finding["severity"], finding["text"]))
    return found


def texts(result: Result, about: str, severity: str) -> str:
    """Return all that `--json` says about one thing with one severity."""
    return "\n".join(text for level, text in findings(result)[about] if level == severity)


GOOD = "  audit: {type: t-file, meta: {path: out}}\n"


def test_without_connect_nothing_is_connected(cli: Run, write: Write) -> None:
    """A plain check opens no sink, and has no findings."""
    write("  audit: {type: t-unavailable, meta: {path: out}}\n")
    result = cli("check", "--json")
    assert result.exit_code == 0
    assert "findings" not in json.loads(result.stdout)


def test_a_buffer_that_is_not_there_yet(cli: Run, write: Write, tmp_path: Path) -> None:
    """It is no error, and none is made; the disk it would be on is looked at."""
    write(GOOD)
    result = cli("check", "--connect")
    assert result.exit_code == 0
    assert f"no producer has ever written to this buffer: {tmp_path / 'buffer.db'}" in result.stdout
    assert "MiB free" in result.stdout
    assert "SQLite " in result.stdout
    assert not (tmp_path / "buffer.db").exists()


def test_an_embedded_buffer(cli: Run, write: Write, buffer: Buffer, store: Callable[..., list[str]]) -> None:
    """Path, journal mode, room, producers, lag and dead letters: all in words, and nothing is changed."""
    write(GOOD)
    buffer.register("audit")
    store({"n": 1}, {"n": 2}, drops={"full": 3})
    before = buffer.stats()
    result = cli("check", "--connect", "--json")
    assert result.exit_code == 0
    good = texts(result, "buffer", "good")
    assert "journal mode wal" in good
    assert "of its cap of 1.0 GiB" in good
    assert "2 records stored so far, 1 producer, the last one wrote" in good
    assert "dropped records: 3 full" in texts(result, "buffer", "warning")
    assert "2 records wait for it, the oldest since 20" in texts(result, "pump audit", "good")
    assert "its sink connects: t-file" in texts(result, "pump audit", "good")
    assert findings(result)["runner"] == [("good", "none is running; start one with `pumpkit run`")]
    assert buffer.stats() == before


def test_a_cursor_that_no_pump_owns(cli: Run, write: Write, buffer: Buffer, store: Callable[..., list[str]]) -> None:
    """It is named with its lag, since when, and how to let go of it; a disabled pump's is none."""
    write(GOOD + "  off: {type: t-file, enabled: false, meta: {path: x}}\n")
    buffer.register("old-search")
    buffer.register("off")
    store({"n": 1})
    result = cli("check", "--connect", "--json")
    assert result.exit_code == 0
    warning = texts(result, "cursor old-search", "warning")
    assert "1 record waits for it, the oldest since" in warning
    assert "`pumpkit cursor drop old-search`" in warning
    assert "cursor off" not in findings(result)
    assert findings(result)["pump off"][0] == ("good", "disabled")
    assert "new: it begins with the oldest record" in texts(result, "pump audit", "good")


def test_dead_letters_and_pauses(
    cli: Run, write: Write, buffer: Buffer, bury: Callable[..., list[Any]], store: Callable[..., list[str]]
) -> None:
    """Both are warned of, with the command that helps."""
    write(GOOD)
    bury("audit", {"n": 1})
    buffer.set_wanted("audit", "pause")
    warnings = texts(cli("check", "--connect", "--json"), "pump audit", "warning")
    assert "1 dead letter: `pumpkit dlq ls audit`" in warnings
    assert "`pumpkit resume audit`" in warnings


def test_a_nearly_full_buffer(cli: Run, write: Write, buffer: Buffer, store: Callable[..., list[str]]) -> None:
    """Ninety per cent of the cap are a warning."""
    write(GOOD)
    buffer.set_max_bytes(1)
    assert "of its cap of 1 B" in texts(cli("check", "--connect", "--json"), "buffer", "warning")


def test_a_buffer_that_cannot_be_one(cli: Run, write: Write, tmp_path: Path) -> None:
    """A file that is no buffer: 78, and the reason."""
    (tmp_path / "buffer.db").write_text("no database, but long enough to be taken for one" * 100)
    write(GOOD)
    result = cli("check", "--connect")
    assert result.exit_code == 78
    assert "error: " in result.stdout
    assert "no database of pumpkit" in result.stdout.replace("\n", " ")


def test_what_sinks_say(cli: Run, write: Write, workplace: Path) -> None:
    """Each pump has its outcome: connected, away, misconfigured at its line, broken; 78 wins over 69."""
    write(
        "  good: {type: t-file, meta: {path: out}}\n"
        "  refused:\n    type: t-config-error\n    meta: {path: x}\n"
        "  away: {type: t-unavailable, meta: {path: x, where: init}}\n"
        "  gone: {type: t-unavailable, meta: {path: x, where: init, how: connection}}\n"
        "  exits: {type: t-exit, meta: {path: x, where: init, how: os}}\n"
        "  raises: {type: t-unavailable, meta: {path: x, where: init, how: other}}\n"
        "  off: {type: t-unavailable, enabled: false, meta: {path: x, where: init}}\n"
    )
    result = cli("check", "--connect", "--json")
    assert result.exit_code == 78
    assert json.loads(result.stdout)["ok"] is False
    assert "its sink connects: t-file" in texts(result, "pump good", "good")
    assert "pumpkit.yaml:6: pumps.refused.meta: the password is wrong" in texts(result, "pump refused", "error")
    assert "cannot be reached" in texts(result, "pump away", "warning")
    assert "down for maintenance" in texts(result, "pump away", "warning")
    assert "ConnectionRefusedError: connection refused" in texts(result, "pump gone", "warning")
    assert "(`init` and `close`) ended the process (exit code 3)" in texts(result, "pump exits", "error")
    assert "RuntimeError: cannot reach the server" in texts(result, "pump raises", "error")
    assert findings(result)["pump off"] == [("good", "disabled")]
    assert not (workplace / "out").exists()


def test_a_sink_that_is_away(cli: Run, write: Write) -> None:
    """The configuration is good, yet not everything can be reached: 69."""
    write(GOOD + "  away: {type: t-unavailable, meta: {path: x, where: init}}\n")
    result = cli("check", "--connect")
    assert result.exit_code == 69
    assert "is good: 2 pumps" in result.stdout
    assert "Error: something cannot be reached" in result.stderr


def test_a_sink_that_hangs(cli: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and told from a plugin that hangs while it is imported."""
    monkeypatch.setattr(checking, "INIT_LIMIT", 3.0)
    write("  a: {type: t-hang, meta: {path: x, where: init, how: gil}}\n")
    result = cli("check", "--connect", "--json")
    assert result.exit_code == 78
    assert "gave no answer in 3 s: connecting (`init` and `close`) hangs" in texts(result, "pump a", "error")


def test_what_close_raises_is_no_matter(cli: Run, write: Write) -> None:
    """As in a running pump, whose records are all committed by then."""
    write("  a: {type: t-config-error, meta: {path: x, where: close}}\n")
    assert cli("check", "--connect").exit_code == 0


def test_a_refused_meta_is_no_trial(cli: Run, write: Write) -> None:
    """What a plain check finds is found as always; the rest is tried all the same."""
    write("  good: {type: t-file, meta: {path: out}}\n  refused: {type: t-file, meta: {paht: x}}\n")
    result = cli("check", "--connect")
    assert result.exit_code == 78
    assert "pumpkit.yaml:4: pumps.refused.meta.paht: unknown key" in result.stderr
    assert "its sink connects" in result.stdout


def test_csv_in_use_by_the_runner(
    cli: Run, write: Write, buffer: Buffer, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that the running runner's sink has locked is no error; without a runner it is one."""
    from pumpkit_csv.lock import DirectoryLock

    write("  audit: {type: csv, meta: {csv-dir: ./out}}\n")
    (workplace / "out").mkdir()
    lock = DirectoryLock.take(workplace / "out")
    runner = buffer.runner_lock({"pid": str(os.getpid()), "host": socket.gethostname()})
    try:
        result = cli("check", "--connect", "--json")
        assert result.exit_code == 0
        assert "in use by the running runner" in texts(result, "pump audit", "good")
        assert f"alive: pid {os.getpid()} on" in texts(result, "runner", "good")
        runner.release()
        result = cli("check", "--connect", "--json")
        assert result.exit_code == 78
        assert "only one may" in texts(result, "pump audit", "error")
    finally:
        runner.release()
        lock.release()


class TestRedis:
    """The same for a buffer in Redis, on real servers."""

    @pytest.fixture
    def url(self, redis_server: RedisServer) -> str:
        """The URL of a buffer that does not exist yet."""
        return redis_server.url

    def test_a_server_without_a_buffer(self, cli: Run, write: Write, redis_server: RedisServer) -> None:
        """Version, persistence, memory and clock are told before there is a buffer, and none is made."""
        write(GOOD)
        result = cli("check", "--connect", "--json")
        assert result.exit_code == 0
        good, warnings = (texts(result, "buffer", severity) for severity in ("good", "warning"))
        assert "Redis 7" in good or "Valkey 9" in good or "Redis 6" in good
        assert "its clock" in good
        assert "no producer has ever written to this buffer" in good
        assert "keeps nothing on disk" in warnings
        with redis_server.client() as client:
            assert client.keys("*") == []

    def test_a_good_server(
        self, cli: Run, write: Write, buffer: Buffer, store: Store, redis_server: RedisServer
    ) -> None:
        """With an append-only file and room there is nothing to warn of; lag and producers are told."""
        with redis_server.client() as client:
            client.config_set("appendonly", "yes")
        write(GOOD)
        buffer.register("audit")
        store({"n": 1})
        result = cli("check", "--connect", "--json")
        assert result.exit_code == 0
        assert "warning" not in {severity for severity, _ in findings(result)["buffer"]}
        assert "1 record stored so far, 1 producer" in texts(result, "buffer", "good")
        assert "1 record waits for it" in texts(result, "pump audit", "good")

    def test_memory(self, cli: Run, write: Write, redis_server: RedisServer) -> None:
        """A policy that may delete the log cannot work, and 78 says so; memory that is nearly used is a warning."""
        write(GOOD)
        with redis_server.client() as client:
            used = int(client.info("memory")["used_memory"])
            client.config_set("maxmemory", str(used + (100 << 10)))
            result = cli("check", "--connect", "--json")
            assert result.exit_code == 0
            assert "soon records are refused" in texts(result, "buffer", "warning")
            client.config_set("maxmemory-policy", "allkeys-lru")
            result = cli("check", "--connect", "--json")
            assert result.exit_code == 78
            assert "set `maxmemory-policy noeviction`" in texts(result, "buffer", "error")

    def test_a_wrong_password(self, cli: Run, write: Write, redis_server: RedisServer) -> None:
        """78, in words, and the password is nowhere."""
        redis_server.add_user("shop", "secret", "~*", "&*", "+@all")
        write(GOOD, redis_server.url.replace("//", "//shop:guessed@"))
        for options in ([], ["--json"]):
            result = cli("check", "--connect", *options)
            assert result.exit_code == 78
            assert "user or password is wrong" in result.stdout.replace("\n", " ")
            assert "guessed" not in result.output

    def test_nobody_listens(self, cli: Run, write: Write) -> None:
        """69; the sinks are tried all the same."""
        write(GOOD, f"redis://127.0.0.1:{free_port()}")
        result = cli("check", "--connect", "--json")
        assert result.exit_code == 69
        assert "cannot be reached" in texts(result, "buffer", "warning")
        assert "nobody listens there" in texts(result, "buffer", "warning")
        assert "its sink connects" in texts(result, "pump audit", "good")

    def test_who_uses_it(self, cli: Run, write: Write, buffer: Buffer, store: Store) -> None:
        """Runners with their slots, alive or away, and cursors that no pump owns, with how to let go of them."""
        write(GOOD)
        buffer.register("gone")
        store({"n": 1})
        buffer.runner_lock({"pumps": "audit"}, "west").release()
        lock = buffer.runner_lock({"pumps": "audit"}, "east")
        try:
            result = cli("check", "--connect", "--json")
        finally:
            lock.release()
        assert f"alive: pid {os.getpid()}" in texts(result, "runner east", "good")
        assert "away, " in texts(result, "runner west", "good")
        assert "`pumpkit cursor drop gone`" in texts(result, "cursor gone", "warning")

    def test_inputs(self, cli: Run, write: Write, redis_server: RedisServer) -> None:
        """Lists are told with their length, other types are an error, and a living iam-pump is a warning."""
        file = write(GOOD)
        file.write_text(
            file.read_text() + "inputs:\n"
            "  authz: {type: redis-list, dialect: iam}\n"
            "  gateway: {type: redis-list, dialect: tyk}\n"
            "  other: {type: redis-list, dialect: iam, key: other}\n"
        )
        with redis_server.client() as client:
            client.rpush("analytics-iam-system-analytics", b"a", b"b")
            client.set("iam-pump", "somebody", px=600_000)
            client.rpush("analytics-tyk-system-analytics_3", b"a")
            client.expire("analytics-tyk-system-analytics_3", 600)
            client.set("other", "no list")
            result = cli("check", "--connect", "--json")
            assert result.exit_code == 78
            assert "the list analytics-iam-system-analytics has 2 items" in texts(result, "input authz", "good")
            assert "an iam-pump has locked" in texts(result, "input authz", "warning")
            assert "analytics-tyk-system-analytics_3 has 1 item" in texts(result, "input gateway", "good")
            assert "_3 expires in 9 min" in texts(result, "input gateway", "warning")
            assert "other is no list but a string" in texts(result, "input other", "error")
            assert client.llen("analytics-iam-system-analytics") == 2
