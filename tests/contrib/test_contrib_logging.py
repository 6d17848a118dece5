"""Log lines as records: what they hold, what is left out, and that logging never waits or fails because of it."""

import asyncio
import datetime
import io
import logging
import logging.config
import logging.handlers
import queue
import signal
import sys
import threading
import uuid
from pathlib import Path

import msgpack
import pytest

from pumpkit import Reporter
from pumpkit.contrib.logging import RecordHandler
from tests.programs import Program

FIXED = [
    "time", "level", "logger", "message", "module", "function", "line", "thread", "process", "task", "exception",
    "stack",
]  # fmt: skip


@pytest.fixture
def log():
    """Return a logger of its own, whose lines go to a handler of the process-wide reporter."""
    logger = logging.Logger("shop.orders")
    logger.addHandler(RecordHandler())
    return logger


def test_a_line_is_a_record(log, captured_records):
    """Every fixed field is there, in one order; what does not apply is None."""
    before = datetime.datetime.now(datetime.UTC)
    log.warning("order %d of %s", 7, "bob")
    (line,) = captured_records
    assert list(line) == FIXED
    assert before - datetime.timedelta(seconds=1) <= line.pop("time") <= datetime.datetime.now(datetime.UTC)
    assert line.pop("line") > 0
    assert line == {
        "level": "WARNING",
        "logger": "shop.orders",
        "message": "order 7 of bob",
        "module": "test_contrib_logging",
        "function": "test_a_line_is_a_record",
        "thread": "MainThread",
        "process": "MainProcess",
        "task": None,
        "exception": None,
        "stack": None,
    }


def test_arguments_are_those_of_the_moment(log, captured_records):
    """The line is formatted at once, so neither later changes nor values without a form on the wire matter."""
    order = {"articles": [1]}
    log.info("%s by %s", order, object)
    order.clear()
    assert captured_records[0]["message"] == "{'articles': [1]} by <class 'object'>"


def test_exceptions_are_text(log, captured_records):
    """With `exc_info`, with `stack_info`, and from a handler that has made text of it already."""
    try:
        raise ValueError("no such article")
    except ValueError:
        log.exception("failed", stack_info=True)
    log.info("outside", exc_info=True)  # no exception is being handled
    record = logging.makeLogRecord({"name": "shop", "msg": "from elsewhere", "exc_text": "Traceback: far away"})
    log.handlers[0].handle(record)
    first, second, third = captured_records
    assert first["exception"].startswith("Traceback (most recent call last):\n")
    assert first["exception"].endswith("\nValueError: no such article")
    assert first["stack"].startswith("Stack (most recent call last):")
    assert second["exception"] is None
    assert third["exception"] == "Traceback: far away"


def test_long_text_loses_its_middle(captured_records):
    """Messages, tracebacks and attributes are bounded; the end of a traceback is kept."""
    log = logging.Logger("shop")
    log.addHandler(RecordHandler(max_chars=100))
    try:
        raise ValueError("x" * 1000 + "END")
    except ValueError:
        log.exception("begin" + "y" * 1000, extra={"text": "z" * 1000, "list": ["z" * 1000], "few": [1]})
    (line,) = captured_records
    assert line["message"].startswith("begin")
    assert "\n... 905 characters left out ...\n" in line["message"]
    assert line["exception"].startswith("Traceback (most")
    assert line["exception"].endswith("xEND")
    assert max(len(line[name]) for name in ("message", "exception", "text")) < 150
    assert "list" not in line
    assert line["few"] == [1]


def test_extra_attributes_are_fields(log, captured_records):
    """They follow under their own names, as copies; what cannot be packed costs only itself, and none is overridden."""
    articles = [1, {"a": datetime.date(2026, 1, 2)}]
    extra = {
        "user": "bob",
        "none": None,
        "share": 0.5,
        "paid": True,
        "id": 7,
        "articles": articles,
        "nested": {1: 2},
        "huge": 1 << 70,
        "request": object(),
        "time": "not this",
        "level": "not this",
    }
    log.info("order", extra=extra)
    articles.clear()
    (line,) = captured_records
    assert list(line) == [*FIXED, "user", "none", "share", "paid", "id", "articles"]
    assert line["articles"] == [1, {"a": "2026-01-02"}]
    assert line["level"] == "INFO"
    assert isinstance(line["time"], datetime.datetime)


def test_what_is_packed_and_not_taken_is_left_out(log, captured_records):
    """A value never costs the line: neither by its depth, its keys, nor by what is found in it."""

    def nested(levels):
        value = []
        for _ in range(levels - 1):
            value = [value]
        return value

    loop = []
    loop.append(loop)
    for name, value, taken in [
        ("deepest", nested(63), True),
        ("deeper", nested(64), False),
        ("far_deeper", nested(10_000), False),
        ("loop", loop, False),
        ("bytes_key", {b"a": 1}, False),
        ("extension", [msgpack.ExtType(5, b"x")], False),
        ("surrogate", "\udc80", True),
        ("largest", (1 << 64) - 1, True),
        ("too_large", [1 << 64], False),
        ("id", uuid.UUID(int=1), True),
        ("path", Path("a"), True),
    ]:
        log.info("x", extra={name: value})
        assert (name in captured_records[-1]) is taken, name
    assert len(captured_records) == 11
    assert captured_records[-2]["id"] == "00000000-0000-0000-0000-000000000001"


def test_extra_attributes_may_be_left_out(captured_records):
    """With `extra=False` all records have the same fields."""
    log = logging.Logger("shop")
    log.addHandler(RecordHandler(extra=False))
    log.info("order", extra={"user": "bob"})
    assert list(captured_records[0]) == FIXED


def test_the_asyncio_task_is_named(log, captured_records):
    """A line of a task has its name, also where Python's own lines have none yet; outside of tasks it is None."""

    async def work():
        log.info("in a task")
        asyncio.get_running_loop().call_soon(log.info, "in a callback")
        await asyncio.sleep(0)

    async def main():
        await asyncio.create_task(work(), name="orders-1")

    asyncio.run(main())
    log.info("after")
    assert [line["task"] for line in captured_records] == ["orders-1", None, None]


def test_threads_are_named(log, captured_records):
    """The name is that of the thread which logged."""
    thread = threading.Thread(target=log.info, args=("x",), name="worker-3")
    thread.start()
    thread.join()
    assert captured_records[0]["thread"] == "worker-3"


def test_levels_and_filters_hold(captured_records):
    """The handler's level, and filters of all kinds; one that adds an attribute adds a field."""
    log = logging.Logger("shop")
    handler = RecordHandler(level="WARNING")
    log.addHandler(handler)
    log.info("too low")

    def with_user(record):
        record.user = "bob"
        return "secret" not in record.getMessage()

    handler.addFilter(with_user)
    log.warning("secret")
    log.warning("order")
    assert [(line["message"], line["user"]) for line in captured_records] == [("order", "bob")]


def test_pumpkit_itself_is_left_out(captured_records):
    """Lines of pumpkit and of its sending thread; not those of packages whose names begin alike."""
    handler = RecordHandler()
    for name in ("pumpkit", "pumpkit.reporter", "pumpkit.buffers.sqlite"):
        handler.handle(logging.makeLogRecord({"name": name, "msg": "x"}))
    handler.handle(logging.makeLogRecord({"name": "redis", "msg": "x", "threadName": "pumpkit-reporter"}))
    handler.handle(logging.makeLogRecord({"name": "pumpkit_csv", "msg": "x", "threadName": "MainThread"}))
    assert [line["logger"] for line in captured_records] == ["pumpkit_csv"]


def test_the_sending_thread_has_the_name_that_is_left_out(tmp_path):
    """The one by which the handler knows it."""
    with Reporter(f"sqlite:///{tmp_path}/buffer.db") as reporter:
        reporter.record({"n": 1})
        assert "pumpkit-reporter" in [thread.name for thread in threading.enumerate()]


def test_a_line_that_cannot_be_formatted(log, captured_records, monkeypatch):
    """It is told as everywhere in logging, or not at all in production; the program goes on."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    log.info("%d", "seven")
    assert "--- Logging error ---" in sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.info("%d", "seven")
    assert sys.stderr.getvalue() == ""
    assert captured_records == []


def test_another_reporter(tmp_path, captured_records):
    """The one that was given gets the lines."""
    log = logging.Logger("shop")
    log.addHandler(RecordHandler(Reporter(common={"service": "shop"})))
    log.info("x")
    assert captured_records[0]["service"] == "shop"


def test_dict_config(captured_records):
    """By class, with its arguments; a reporter of the application's by `ext://`."""
    logger = {"handlers": ["records"], "level": "DEBUG", "propagate": False}
    try:
        for more in ({}, {"reporter": f"ext://{__name__}.REPORTER", "level": "ERROR", "extra": False}):
            handler = {"class": "pumpkit.contrib.logging.RecordHandler", **more}
            configuration = {"version": 1, "handlers": {"records": handler}, "loggers": {"shop.configured": logger}}
            logging.config.dictConfig({**configuration, "disable_existing_loggers": False})
            logging.getLogger("shop.configured").debug("low", extra={"user": "bob"})
            logging.getLogger("shop.configured").error("high", extra={"user": "bob"})
    finally:
        logging.getLogger("shop.configured").handlers.clear()
    seen = [(line.get("service"), line["level"], line.get("user")) for line in captured_records]
    assert seen == [(None, "DEBUG", "bob"), (None, "ERROR", "bob"), ("configured", "ERROR", None)]


REPORTER = Reporter(common={"service": "configured"})


def test_behind_a_queue_listener(captured_records):
    """Thread, function and attributes are those of the call, whichever thread hands the line over."""
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    log = logging.Logger("shop")
    log.addHandler(logging.handlers.QueueHandler(lines))
    listener = logging.handlers.QueueListener(lines, RecordHandler())
    listener.start()
    log.info("order %d", 7, extra={"user": "bob"})
    listener.stop()
    (line,) = captured_records
    assert (line["message"], line["thread"], line["user"]) == ("order 7", "MainThread", "bob")
    assert line["function"] == "test_behind_a_queue_listener"


def test_in_signal_handlers(log, captured_records):
    """A handler may log in the middle of a line."""
    previous = signal.signal(signal.SIGALRM, lambda *_: log.info("signal"))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while sum(line["message"] == "signal" for line in captured_records) < 20:
            log.info("line", extra={"list": [1, 2, 3]})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert {line["message"] for line in captured_records} == {"line", "signal"}


def test_it_waits_for_no_lock(log, captured_records):
    """A thread that holds the handler's lock, in `flush` say, holds nobody up."""
    (handler,) = log.handlers
    handler.acquire()
    try:
        thread = threading.Thread(target=log.info, args=("x",), daemon=True)
        thread.start()
        thread.join(30)
        assert [line["message"] for line in captured_records] == ["x"]
    finally:
        handler.release()


def test_flush_sends(tmp_path):
    """`flush` waits until what was logged is in the buffer; `close` leaves the reporter to its owner."""
    with Reporter(f"sqlite:///{tmp_path}/buffer.db", flush_interval=60.0) as reporter:
        log = logging.Logger("shop")
        handler = RecordHandler(reporter)
        log.addHandler(handler)
        log.info("x")
        handler.flush()
        assert reporter.stats().confirmed == 1
        handler.close()
        log.info("y")
        assert reporter.flush().sent == 2


SERVICE = """
    import atexit, logging, os, sys, time
    from pumpkit.contrib.logging import RecordHandler

    logging.basicConfig(level=logging.DEBUG, handlers=[RecordHandler()])
    log = logging.getLogger("shop")
"""


def test_lines_up_to_the_end_arrive(program: Program):
    """Those of exit handlers too, and those of before an explicit `logging.shutdown` and `os._exit`."""
    program.run(SERVICE + "    atexit.register(log.info, 'exit handler')\n    log.info('last line')")
    program.run(SERVICE + "    log.info('shut down')\n    logging.shutdown()\n    os._exit(0)")
    assert {one["message"] for one in program.records()} == {"last line", "exit handler", "shut down"}


def test_forked_children_log(program: Program):
    """A child's lines are its own, each once."""
    program.run(
        SERVICE
        + """
    log.info("parent")
    pids = []
    for n in range(3):
        pid = os.fork()
        if pid == 0:
            log.info("child %d", n)
            sys.exit()
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    """
    )
    assert sorted(one["message"] for one in program.records()) == ["child 0", "child 1", "child 2", "parent"]


def test_children_log_that_are_forked_in_the_middle_of_lines(program: Program):
    """No child waits for a lock that a thread of its parent had, however many threads log at its fork."""
    program.run(
        SERVICE
        + """
    import threading

    done = threading.Event()

    def work():
        while not done.is_set():
            log.info("busy", extra={"list": [1, 2, 3]})
            time.sleep(0.0001)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    pids = []
    for n in range(20):
        pid = os.fork()
        if pid == 0:
            log.info("child %d", n)
            logging.shutdown()
            os._exit(0)
        pids.append(pid)
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    done.set()
    assert not any(codes), codes
    """
    )
    found = [one["message"] for one in program.records() if one["message"] != "busy"]
    assert sorted(found) == sorted(f"child {n}" for n in range(20))


def test_the_end_waits_once(program: Program):
    """A buffer that is away delays the end by the reporter's deadline, and `logging.shutdown` adds nothing to it."""
    (program.folder / "missing").write_text("a file where a folder should be")
    program.environment["PUMPKIT_BUFFER"] = f"sqlite:///{program.folder}/missing/buffer.db"
    _, err = program.run(
        """
        import logging, pumpkit
        from pumpkit.contrib.logging import RecordHandler

        pumpkit.configure(exit_timeout=0.2)
        logging.basicConfig(handlers=[RecordHandler(flush_timeout=1000.0)])
        logging.warning("x")
        """
    )
    assert "1 records could not be sent before the end" in err


def test_no_feedback_while_the_buffer_is_away(program: Program):
    """At the root, at every level, into the reporter whose buffer is away: its own lines make no records."""
    (program.folder / "missing").write_text("a file where a folder should be")
    program.environment["PUMPKIT_BUFFER"] = f"sqlite:///{program.folder}/missing/buffer.db"
    out, _ = program.run(
        SERVICE
        + """
    import collections, pumpkit

    seen = collections.Counter()
    class Seen(logging.Handler):
        def emit(self, record):
            seen[record.getMessage().partition(":")[0]] += 1
    logging.getLogger("pumpkit").addHandler(Seen())

    reporter = pumpkit.configure(records_buffer_size=100, buffer_bytes=1, exit_timeout=0.0)
    logging.getLogger("shop").debug("one line")
    pumpkit.record(3)
    pumpkit.flush(0.3)
    for n in range(300):
        log.info("many")
    while "more than 100 records wait" not in seen:
        pumpkit.flush(0.1)
        time.sleep(0.01)
    reporter.close()
    stats = reporter.stats()
    print(stats.pending + sum(stats.drops.values()))
    print(sorted(seen.items()))
    """
    )
    recorded, lines = out.splitlines()
    assert recorded == "302"
    assert lines == str(
        [
            ("a record was dropped as unpackable", 1),
            ("closed", 1),
            ("more than 100 records wait", 1),
            ("the buffer cannot work as configured", 1),
        ]
    )
