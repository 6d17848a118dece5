"""What a test of an application sees of its records, and that it leaves nothing behind."""

import dataclasses
import datetime
import gc
import multiprocessing
import os
import signal
import threading
import unittest
import uuid
import weakref

import attrs
import pytest

import pumpkit
from pumpkit import Reporter, record
from tests.programs import Program


@pytest.fixture(autouse=True)
def _nothing_is_sent(tmp_path_factory, monkeypatch):
    """Fail if anything is sent to a real buffer, or if a thread is started."""
    folder = tmp_path_factory.mktemp("buffer")
    monkeypatch.setenv("PUMPKIT_BUFFER", f"sqlite:///{folder}/buffer.db")
    threads = threading.active_count()
    yield
    assert list(folder.iterdir()) == []
    assert threading.active_count() <= threads


def test_records_are_there_at_once_and_in_order():
    """The process-wide reporter, whose `record` was imported long ago, and others, in the order of the calls."""
    other = Reporter()
    with pumpkit.captured() as records:
        record({"n": 1})
        assert records == [{"n": 1}]
        other.record({"n": 2})
        Reporter.record(other, {"n": 3})
        pumpkit.record({"n": 4})
        Reporter(source="made in the block").record({"n": 5})
    assert records == [{"n": n} for n in range(1, 6)]


def test_a_record_is_what_a_sink_would_get():
    """Values are those of the wire, and the record is a copy."""

    @dataclasses.dataclass
    class Order:
        id: uuid.UUID
        at: datetime.datetime
        tags: set[str]

    @attrs.define
    class Paid:
        amount: float

    lines = [{"article": 1}]
    with pumpkit.captured() as records:
        record(Order(uuid.UUID(int=1), datetime.datetime(2026, 1, 2), {"new"}))
        record(Paid(1.5))
        record({"lines": lines})
        records[-1]["lines"].append(2)
    assert lines == [{"article": 1}]
    assert records == [
        {
            "id": "00000000-0000-0000-0000-000000000001",
            "at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            "tags": ["new"],
        },
        {"amount": 1.5},
        {"lines": [{"article": 1}, 2]},
    ]
    assert [type(one) for one in records] == [dict] * 3


def test_shaping_by_the_reporter_is_seen():
    """Common fields are below the record's own, `fields` and `omit_detailed` hold; a callable is asked once."""
    asked = []

    def common():
        asked.append(1)
        return {"host": "here", "n": 0}

    with pumpkit.captured() as records:
        reporter = Reporter(common=common, fields=["n", "policies"], omit_detailed=True)
        reporter.record({"n": 1, "secret": "x"})
        reporter.record({"policies": "p"})
    assert records == [{"host": "here", "n": 1}, {"host": "here", "n": 0, "policies": ""}]
    assert len(asked) == 1


def test_nothing_is_left_out_by_chance_or_for_want_of_room():
    """Sampling is off and no queue can be full; a reporter that is switched off records nothing."""
    with pumpkit.captured() as records:
        few = Reporter(sample=0.000001, records_buffer_size=1, overflow="drop-oldest", copy=True)
        for n in range(10):
            few.record({"n": n})
        Reporter(enabled=False).record({"n": -1})
        Reporter(enabled=False).record(object())
    assert [one["n"] for one in records] == list(range(10))


def test_what_no_sink_would_get_fails_at_the_end():
    """The error names field, type and record; the others are captured all the same."""
    with pytest.raises(AssertionError) as caught, pumpkit.captured() as records:  # noqa: PT012
        record({"n": 1})
        record({"user": object()})
        record(3)
        Reporter(max_record_bytes=100).record({"text": "x" * 200})
        record({"n": 2})
    first, *lines = str(caught.value).splitlines()
    assert first == "3 records would not reach a sink as they should:"
    assert lines[0].startswith("  unpackable: field 'user' of type object: TypeError: object has no form on the wire: ")
    assert lines[1] == "  unpackable: a record must be a mapping, an attrs class or a dataclass, not int: 3"
    assert lines[2].startswith("  too-large: packs to ")
    assert records == [{"n": 1}, {"n": 2}]
    assert [one.cause for one in records.rejected] == ["unpackable", "unpackable", "too-large"]
    assert records.rejected[1].record == 3


def test_a_record_that_is_changed_afterwards_fails_at_the_end():
    """It is packed later in production; a copy that the reporter makes is one level deep."""
    order = {"state": "new", "lines": [1], "share": float("nan"), "tags": {"a", "b"}}
    with pumpkit.captured():
        record(order)
    with pumpkit.captured():
        Reporter(copy=True).record(order)
        order["state"] = "paid"
    with pytest.raises(AssertionError, match=r"changed after .*'state': 'sent'"), pumpkit.captured():  # noqa: PT012
        record(order)
        order["state"] = "sent"
    with pytest.raises(AssertionError, match="changed after it was handed over"), pumpkit.captured():  # noqa: PT012
        Reporter(copy=True).record(order)
        order["lines"].append(2)


def test_a_test_may_expect_rejections():
    """Whoever looks at them and clears them has no error."""
    with pumpkit.captured() as records:
        record({1: 2})
        assert records.rejected[0].reason == "the name of a field must be str, not int"
        records.rejected.clear()
    assert records == []


def test_an_error_of_the_block_is_not_covered():
    """The test's own failure is the one that is seen."""
    with pytest.raises(ZeroDivisionError), pumpkit.captured():  # noqa: PT012
        record({"user": object()})
        raise ZeroDivisionError


def test_a_record_never_raises():
    """Whatever code a record has."""

    class Nasty(dict):
        def __iter__(self):
            raise KeyboardInterrupt

        keys = items = __repr__ = __iter__

    with pumpkit.captured() as records:
        for nasty in (Nasty(a=Nasty()), {"a": Nasty(a=1)}):
            record(nasty)
        records.rejected.clear()


def test_counts_are_those_of_the_block():
    """`stats`, `flush` and `close` answer as if the buffer had taken all at once."""
    reporter = Reporter()
    before = reporter.stats()
    with pumpkit.captured() as records:
        reporter.record({"n": 1})
        reporter.record({"n": object()})
        assert reporter.flush() == (1, 0, 1)
        assert reporter.close() == (1, 0, 1)
        reporter.record({"n": 2})
        stats = reporter.stats()
        assert (stats.confirmed, stats.sent, stats.pending, stats.queued) == (1, 1, 0, 0)
        assert stats.drops == {"unpackable": 1, "unsent": 1}
        assert records.rejected[1].reason == "the reporter is closed"
        records.rejected.clear()
    assert reporter.stats() == before


def test_afterwards_everything_is_as_before(tmp_path, fake_log):
    """What waited is sent, what the block closed or set up is undone, and what it made reports for real."""
    log, elsewhere = fake_log(), fake_log()
    with Reporter(log, flush_interval=60.0) as reporter:
        reporter.record({"n": 1})
        with pumpkit.captured() as records:
            reporter.record({"n": 2})
            reporter.close()
            made = Reporter(elsewhere)
            made.record({"n": 3})
            closed = Reporter(elsewhere)
            closed.close()
        reporter.record({"n": 4})
        with made:
            made.record({"n": 5})
        closed.record({"n": 6})
    assert [one["n"] for one in records] == [2, 3]
    assert log.records() == [{"n": 1}, {"n": 4}]
    assert elsewhere.records() == [{"n": 5}]
    assert closed.stats().drops == {"unsent": 1}


def test_configuring_in_a_block_is_undone():
    """An application that sets the process-wide reporter up at its start may do so in each test."""
    before = pumpkit.get_reporter().source
    for _ in range(2):
        with pumpkit.captured() as records:
            pumpkit.configure(source="shop", common={"service": "shop"})
            record({"n": 1})
            assert pumpkit.get_reporter().source == "shop"
        assert records == [{"service": "shop", "n": 1}]
    assert pumpkit.get_reporter().source == before


def test_captures_nest():
    """The innermost gets the records, also of a reporter that it saw being made."""
    with pumpkit.captured() as outer:
        record({"n": 1})
        with pumpkit.captured() as inner:
            made = Reporter()
            record({"n": 2})
        made.record({"n": 3})
        record({"n": 4})
    assert (outer, inner) == ([{"n": 1}, {"n": 3}, {"n": 4}], [{"n": 2}])


def test_threads_are_captured():
    """Records of many threads are all there, those of one in their order."""
    reporter = Reporter(copy=True)

    def work(thread):
        for n in range(200):
            (record if n % 2 else reporter.record)({"thread": thread, "n": n})

    with pumpkit.captured() as records:
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert reporter.stats().confirmed == 400
    for thread in range(4):
        assert [one["n"] for one in records if one["thread"] == thread] == list(range(200))


def test_a_signal_handler_is_captured():
    """It may come in the middle of a record."""
    previous = signal.signal(signal.SIGALRM, lambda *_: record({"signal": True}))
    with pumpkit.captured() as records:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            while sum("signal" in one for one in records) < 20:
                record({"n": 1, "list": list(range(50))})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    assert all(one in ({"signal": True}, {"n": 1, "list": list(range(50))}) for one in records)


def test_a_reporter_that_nobody_holds_is_let_go():
    """A capture keeps none alive, and the thread of one that went away meanwhile ends."""
    reporter = Reporter()
    outbox, reference = reporter._outbox, weakref.ref(reporter)
    with pumpkit.captured():
        del reporter
        gc.collect()
        assert reference() is None
    assert outbox._stop_at is not None


@pytest.mark.parametrize("how", ["fork", "multiprocessing"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_sends_nothing(how):
    """What a child records stays in the child, and it ends in order."""
    with pumpkit.captured() as records:
        record({"n": 1})
        if how == "fork":
            pid = os.fork()
            if pid == 0:
                record({"child": True})
                Reporter().record({"child": True})
                pumpkit.flush()
                os._exit(len(records))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        else:
            child = multiprocessing.get_context("fork").Process(target=record, args=({"child": True},))
            child.start()
            child.join(30)
            assert child.exitcode == 0
    assert records == [{"n": 1}]


def test_a_child_that_leaves_the_block_reports_for_itself(program: Program):
    """Where a child runs on behind the capture, its parent's outbox is not used: it has a producer of its own."""
    program.run(
        """
        import os, pumpkit
        pumpkit.record({"who": "before"})
        pumpkit.flush()
        with pumpkit.captured():
            pumpkit.record({"who": "captured"})
            pid = os.fork()
        pumpkit.record({"who": "parent" if pid else "child"})
        pumpkit.flush()
        if pid:
            os.waitpid(pid, 0)
        """
    )
    producers = {one["who"]: one["_producer"] for one in program.records()}
    assert set(producers) == {"before", "parent", "child"}
    assert producers["before"] == producers["parent"] != producers["child"]


class Shop(unittest.TestCase):
    """A test case as a user writes it."""

    def setUp(self):
        """Capture for each test."""
        self.records = self.enterContext(pumpkit.captured())

    def test_order(self):
        """An order is recorded."""
        record({"order": 1})
        self.assertEqual(self.records, [{"order": 1}])  # noqa: PT009


def test_reporting_loads_no_capture(program: Program):
    """An application does not pay for it."""
    out, _ = program.run("import pumpkit, sys; pumpkit.record; print('pumpkit.reporter.capture' in sys.modules)")
    assert out == "False\n"
