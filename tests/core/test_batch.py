"""Records in hand: from frames to numbers, through the steps of their way, to counts that add up."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pumpkit.batch import Batch, bury, decode, forget, runs, select, shorten, take, without
from pumpkit.buffers import Delivery
from pumpkit.buffers.base import Counts, Part
from pumpkit.deliver import Dead
from pumpkit.errors import FrameTooNew
from pumpkit.frames import RAW, pack_bad_item, pack_frame
from pumpkit.ids import record_ids
from pumpkit.values import RecordPacker, unpack_record

PRODUCER = bytes(range(16))
BAD = b"\x81\x01\x02"  # {1: 2}, which no reader takes
TOO_NEW = b"\x91\x02"


def frame(records, first=0, **header):
    """Return a frame; a record may be bytes, packed already."""
    pack = RecordPacker().pack
    blobs = [one if isinstance(one, bytes) else pack([one]).runs[0][0] for one in records]
    settings = {"producer": PRODUCER, "created_ms": 0, "codec": RAW} | header
    return pack_frame(first=first, runs=[(blob, 1) for blob in blobs], **settings)


def delivery(position, records, first=0, redelivered=False, **header):
    """Return a delivery of good and bad records."""
    return Delivery(position, frame(records, first, **header), len(records), redelivered)


def some(*counts, start=0, **header):
    """Return a batch of frames with so many records, `{"n": 0}` and so on."""
    deliveries, first = [], 0
    for position, count in enumerate(counts, 1):
        deliveries.append(delivery(position * 10, [{"n": first + n} for n in range(count)], first, **header))
        first += count
    return decode(deliveries, start, "buffer")


def test_records_are_numbered_through_all_frames():
    """Numbers go on from the batch before; ids are the producer's, whatever the number."""
    batch = some(2, 3, start=100)
    assert (list(batch.live), batch.stop, batch.through) == ([100, 101, 102, 103, 104], 105, 20)
    assert take(batch, batch.live, None) == [{"n": n} for n in range(5)]
    assert batch.ids(batch.live) == record_ids(PRODUCER, 0, 5)
    assert batch.ids([101, 104]) == [f"{PRODUCER.hex()}-1", f"{PRODUCER.hex()}-4"]
    assert batch.part(101, 103) == ((10, 1), (20, 1))


def test_nothing_fetched_is_an_empty_batch():
    """No frame, no record, nothing to commit."""
    batch = decode([], 7, "buffer")
    assert (list(batch.live), batch.start, batch.stop, batch.through) == ([], 7, 7, None)
    assert batch.settled() == []


def test_common_fields_are_merged_below_the_records_own():
    """A record's own field wins over the common one."""
    batch = decode([delivery(1, [{"a": 1}, {"host": "mine"}], common={"host": "h", "v": 2})], 0, "buffer")
    assert take(batch, batch.live, None) == [{"host": "h", "v": 2, "a": 1}, {"host": "mine", "v": 2}]


def test_frames_of_other_sources_are_filtered_whole():
    """They are counted without being decoded."""
    deliveries = [
        delivery(1, [{"n": 0}], source="web"),
        delivery(2, [{"n": 1}, BAD], source="authz"),
        delivery(3, [{"n": 2}, BAD], source=""),
    ]
    batch = decode(deliveries, 0, "buffer", sources=["web", "other"])
    assert list(batch.live) == [0]
    assert [slot.filtered for slot in batch.slots] == [0, 2, 2]
    assert not any(slot.dead for slot in batch.slots)


def test_a_bad_record_is_a_dead_letter_of_its_own():
    """With its id, a reason and its bytes; the others go on."""
    batch = decode([delivery(4, [{"n": 0}, BAD, {"n": 2}], first=40)], 10, "buffer")
    assert list(batch.live) == [10, 12]
    [letter] = batch.slots[0].dead
    assert (letter.id, letter.position, letter.kind) == (f"{PRODUCER.hex()}-41", 4, "bad-frame")
    assert (letter.record, letter.records, letter.attempts) == (BAD, 1, 0)
    assert letter.reason.startswith("bad record: ValueError: int is not allowed")
    batch.live = []
    assert batch.slots[0].counts() == Counts(delivered=2, dead=1)


def test_an_item_that_is_no_record_is_a_dead_letter_with_its_own_bytes():
    """Whatever list it comes from: the reason says what is wrong with it."""
    batch = decode([delivery(4, [{"n": 0}, pack_bad_item(b"\xff", "TypeError: no map")], first=40)], 10, "buffer")
    assert list(batch.live) == [10]
    [letter] = batch.slots[0].dead
    assert (letter.id, letter.kind, letter.reason) == (
        f"{PRODUCER.hex()}-41",
        "bad-frame",
        "bad record: TypeError: no map",
    )
    assert (letter.record, letter.records) == (b"\xff", 1)


@pytest.mark.parametrize("blob", [b"", b"rubbish", frame([{}] * 3)[:-1], frame([{}] * 2), frame([{}] * 4)])
def test_a_bad_frame_is_one_dead_letter_for_all_its_records(blob):
    """One that cannot be read, or holds another number of records than the log counted; the frames around it go on."""
    deliveries = [delivery(1, [{"n": 0}]), Delivery(2, blob, 3, True), delivery(3, [{"n": 1}], 1)]
    batch = decode(deliveries, 0, "buffer", sources=[""] if len(blob) % 2 else [])
    assert list(batch.live) == [0, 4]
    assert batch.ids([0, 4]) == record_ids(PRODUCER, 0, 2)
    [letter] = batch.slots[1].dead
    assert (letter.id, letter.kind, letter.record, letter.records) == ("buffer:2", "bad-frame", blob, 3)
    assert batch.slots[1].counts() == Counts(dead=3, redelivered=3)


def test_a_frame_of_a_later_version_waits_until_those_before_it_are_through():
    """What comes first is delivered; then the pump stops at it, and nothing is dead."""
    batch = decode([delivery(1, [{"n": 0}]), Delivery(2, TOO_NEW, 3, False), delivery(3, [{"n": 1}], 1)], 0, "buffer")
    assert (list(batch.live), batch.through) == ([0], 1)
    for sources in ([], ["web"]):
        with pytest.raises(FrameTooNew, match="upgrade"):
            decode([Delivery(2, TOO_NEW, 3, False)], 0, "buffer", sources)


def test_what_another_worker_got_accepted_is_not_live():
    """Parts are of frames by position; those of frames not in hand are no matter."""
    batch = some(3, 3)
    without(batch, [Part(10, 1, 2), Part(20, 0, 0), Part(5, 0, 2), Part(30, 0, 0)])
    assert list(batch.live) == [0, 4, 5]
    batch.live = []
    assert [slot.counts() for slot in batch.slots] == [Counts(delivered=3), Counts(delivered=3)]


def test_select_counts_what_is_not_wanted():
    """What the predicate refuses is filtered in its frame, what it raises about is dead."""
    batch = some(3, 3)

    def wanted(record):
        if record["n"] == 2:
            raise KeyError("boom \udcff")
        if record["n"] == 3:
            raise SystemExit(1)
        return record["n"] % 2

    assert select(batch, batch.live, wanted) == [1, 5]
    assert [slot.filtered for slot in batch.slots] == [1, 1]
    assert [letter.reason for slot in batch.slots for letter in slot.dead] == [
        "filters: KeyError: 'boom \\udcff'",
        "filters: SystemExit: 1",
    ]
    assert [(letter.kind, unpack_record(letter.record)) for slot in batch.slots for letter in slot.dead] == [
        ("filter", {"n": 2}),
        ("filter", {"n": 3}),
    ]
    assert select(batch, [1, 5], None) == [1, 5]


def test_an_answer_without_a_truth_is_an_error_of_the_predicate():
    """Like that of an array: the record is dead, not wanted by accident."""

    class Array:
        def __bool__(self):
            raise ValueError("ambiguous")

    batch = some(1)
    assert select(batch, batch.live, lambda record: Array()) == []
    assert "ambiguous" in batch.slots[0].dead[0].reason


def test_shorten_gives_records_their_look():
    """The sink sees the look; a record that cannot be given one is dead, as it was."""
    batch = some(4)

    def look(record):
        match record["n"]:
            case 1:
                record["n"] = "half changed"
                raise RuntimeError("no")
            case 2:
                return None
        return {"seen": record["n"]}

    live = shorten(batch, batch.live, look)
    assert live == [0, 3]
    assert take(batch, live, look) == [{"seen": 0}, {"seen": 3}]
    dead = batch.slots[0].dead
    assert [unpack_record(letter.record) for letter in dead] == [{"n": 1}, {"n": 2}]
    assert [letter.reason for letter in dead] == [
        "omit_detail: RuntimeError: no",
        "omit_detail: TypeError: a record became NoneType",
    ]


def test_records_are_fresh_after_a_failed_write():
    """A sink may do what it likes to its records, at every depth: the next write gets them as they were."""
    records = [{"n": n, "deep": {"list": [1, {"a": n}]}} for n in range(4)]
    batch = decode([delivery(1, records[:2]), delivery(2, records[2:], 2)], 0, "buffer")

    def look(record):
        return record | {"look": True}

    live = shorten(batch, batch.live, look)
    expected = [record | {"look": True} for record in records]
    for _ in range(3):
        got = take(batch, live, look)
        assert got == expected
        for record in got:
            record["deep"]["list"][1]["a"] = "spoilt"
            record.clear()
        forget(batch, live)
    assert take(batch, [1, 3], look) == [expected[1], expected[3]]
    forget(batch, [0, 3])
    assert take(batch, [0, 1, 2, 3], look) == expected


def test_a_dead_letter_holds_the_record_as_the_sink_was_to_get_it():
    """With its look and common fields, whatever the sink did to it before it refused it."""
    batch = decode([delivery(1, [{"n": 0, "secret": "x"}, {"n": 1}], common={"host": "h"})], 0, "buffer")

    def look(record):
        record.pop("secret", None)
        return record

    live = shorten(batch, batch.live, look)
    take(batch, live, look)[0].clear()
    forget(batch, live)
    bury(batch, Dead(0, "rejected", "too \udcff" + "x" * 3000, 3), "sink 1.0", look)
    bury(batch, Dead(1, "unknown", "no", 7), "sink 1.0", look)
    first, second = batch.slots[0].dead
    assert [unpack_record(letter.record) for letter in (first, second)] == [
        {"host": "h", "n": 0},
        {"host": "h", "n": 1},
    ]
    assert (first.id, first.position, first.kind, first.attempts) == (f"{PRODUCER.hex()}-0", 1, "rejected", 3)
    assert (first.plugin, second.attempts) == ("sink 1.0", 7)
    assert first.reason.startswith("too \\udcffx")
    assert len(first.reason.encode()) <= 2_010


def test_a_look_that_cannot_be_kept_leaves_the_record_as_it_came():
    """A plugin may put what it likes into a record; the dead letter is readable all the same."""
    for odd in ({"n": object()}, {1: 2}, {"n": {1: 2}}):
        batch = some(1)
        bury(batch, Dead(0, "rejected", "no"), "", lambda record, odd=odd: odd)
        assert unpack_record(batch.slots[0].dead[0].record) == {"n": 0}


def test_what_only_readers_take_is_kept_in_dead_letters():
    """Bytes keys, large integers and large records, which no reporter makes, are buried like any other."""
    for blob, record in (
        (b"\x81\xc4\x01k\x01", {b"k": 1}),
        (b"\x81\xa1n\xcf" + b"\xff" * 8, {"n": (1 << 64) - 1}),
        (b"\x81\xa1n\xc6\x00\x20\x00\x00" + bytes(1 << 21), {"n": bytes(1 << 21)}),
    ):
        batch = decode([delivery(1, [blob])], 0, "buffer")
        bury(batch, Dead(0, "rejected", "no"))
        assert unpack_record(batch.slots[0].dead[0].record) == record


def test_runs_are_cut_at_gaps_and_frames():
    """Numbers as parts: the least number of runs, in order."""
    batch = some(4, 2, start=50)
    assert runs(batch, [55, 50, 51, 53, 54]) == [Part(10, 0, 1), Part(10, 3, 3), Part(20, 0, 1)]
    assert runs(batch, []) == []


def test_frames_are_let_go_when_all_before_them_are_decided():
    """A held record keeps its frame and all later ones; numbers stay what they are, and ids and records with them."""
    batch = some(2, 2, 2)
    batch.live = [3]
    assert [slot.delivery.position for slot in batch.settled()] == [10]
    batch.drop(batch.settled())
    assert (batch.start, batch.stop, list(batch.live)) == (2, 6, [3])
    later = decode([delivery(40, [{"n": 6}], 6)], batch.stop, "buffer")
    batch.join(later)
    assert (list(batch.live), batch.through) == ([3, 6], 40)
    assert take(batch, [3, 6], None) == [{"n": 3}, {"n": 6}]
    assert batch.ids([3, 6]) == [f"{PRODUCER.hex()}-3", f"{PRODUCER.hex()}-6"]
    batch.live = []
    batch.drop(batch.settled())
    assert (batch.start, batch.stop, batch.slots, batch.records) == (7, 7, [], [])


CONTENT = st.lists(
    st.tuples(st.lists(st.sampled_from(["good", "good", "odd", "bad"]), min_size=1, max_size=8), st.booleans()),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(content=CONTENT, broken=st.sets(st.integers(0, 11)), seed=st.integers(0, 1 << 32))
def test_counts_always_add_up(content, broken, seed):
    """Whatever is in the frames and becomes of the records, over however many fetches: each is counted once."""
    dice = random.Random(seed)
    deliveries, first = [], 0
    for position, (kinds, redelivered) in enumerate(content, 1):
        records = [BAD if kind == "bad" else {"n": first + i, "kind": kind} for i, kind in enumerate(kinds)]
        source = dice.choice(["web", "authz"])
        one = delivery(position, records, first, redelivered, source=source)
        deliveries.append(one._replace(frame=b"rubbish") if position in broken else one)
        first += len(kinds)
    sources = dice.choice([[], [], ["web"]])
    hand, counted, seen = Batch(0), [], []

    def wanted(record):
        if dice.random() < 0.1:
            raise ValueError
        return record["kind"] == "good" or dice.random() < 0.5

    def look(record):
        if dice.random() < 0.1:
            raise ValueError
        return record

    waiting = list(deliveries)
    while waiting or hand.slots:
        fetched, waiting = waiting[: (number := dice.randint(1, 4))], waiting[number:]
        batch = decode(fetched, hand.stop, "buffer", sources)
        if dice.random() < 0.3:
            without(batch, [Part(one.position, 0, dice.randrange(one.total)) for one in fetched])
        batch.live = select(batch, batch.live, wanted)
        batch.live = shorten(batch, batch.live, look)
        hand.join(batch)
        held = []
        for number in hand.live:
            seen += take(hand, [number], None)
            match dice.randrange(4 if waiting else 3):
                case 0:
                    bury(hand, Dead(number, "rejected", "no"))
                case 3:
                    held.append(number)
        hand.live = held
        for slot in hand.settled():
            counts = slot.counts()
            assert sum(counts[:3]) == slot.delivery.total
            assert min(counts) >= 0
            assert counts.redelivered == (slot.delivery.total if slot.delivery.redelivered else 0)
            assert sum(letter.records for letter in slot.dead) == counts.dead
            assert len({letter.id for letter in slot.dead}) == len(slot.dead)
            counted.append(slot.delivery)
        hand.drop(hand.settled())
    assert counted == deliveries
    assert (hand.live, hand.records) == ((), [])
    assert {record["n"] for record in seen} <= set(range(first))
