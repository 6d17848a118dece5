"""A buffer against a model of it in plain Python, through whatever sequence of events hypothesis finds.

The model keeps the whole log in a list and never trims. After every step each pump's ledger has to balance and agree
with the model's, and no frame may be gone that a registered pump has not passed.
"""

import gc
import socket

import attrs
import pytest
from hypothesis import HealthCheck, event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from making import PLENTY, Producer, letter

from pumpkit.buffers import Buffer, Cursor, Delivery, Gap, open_buffer
from pumpkit.buffers.base import Counts, Part
from pumpkit.errors import BufferBusy, BufferFull
from pumpkit.frames import read_header

PUMPS = ["audit", "trail", "archive"]


@attrs.define
class Sender:
    """A producer and the frames it has packed; the log should expect `next_seq` of it."""

    producer: Producer = attrs.field(factory=Producer)
    sent: list[tuple[int, int, bytes]] = attrs.field(factory=list)  # first, records, frame
    next_seq: int = 0
    drops: dict[str, int] = attrs.field(factory=dict)


@attrs.define
class Frame:
    """A frame of the model's log."""

    frame: bytes
    records: int
    ordinal: int  # records stored before it
    position: int


@attrs.define
class Pump:
    """What the model knows of a pump; `at` is how many frames it has passed."""

    at: int
    began: int
    delivered: int = 0
    filtered: int = 0
    dead: int = 0
    skipped: int = 0
    redelivered: int = 0
    wanted: str = "run"
    suspect: int = 0  # frames up to this position may have been handed out before an unclean stop
    letters: dict[str, int] = attrs.field(factory=dict)  # id -> records of the present ledger
    marks: dict[str, str] = attrs.field(factory=dict)
    parts: list[Part] = attrs.field(factory=list)
    buffer_id: str = ""


class BufferMachine(RuleBasedStateMachine):
    """Producers, pumps, the runner, a person at the command line, and mishaps. Subclasses say where the buffer is."""

    url: str

    def positions(self) -> list[int]:
        """Return the positions of the latest frames in the buffer, the last one included."""
        raise NotImplementedError

    def remove_log(self, everything: bool) -> None:
        """Remove the log, or everything of the buffer but what belongs to pumps."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Make a buffer."""
        self.buffer: Buffer = open_buffer(self.url)
        self.senders = [Sender(), Sender()]
        self.pumps: dict[str, Pump] = {}
        self.cursors: dict[str, Cursor] = {}
        self.hands: dict[str, list[Delivery]] = {}
        self.letters = 0
        self.new_log()

    def new_log(self) -> None:
        """Forget what the log held."""
        self.log: list[Frame] = []
        self.stored = self.lost = 0
        self.trimmed = 0  # frames that the buffer has deleted
        self.buffer_id = self.buffer.stats().buffer_id
        for sender in self.senders:
            sender.next_seq, sender.drops = 0, {}

    def teardown(self) -> None:
        """Leave nothing behind."""
        for cursor in getattr(self, "cursors", {}).values():
            cursor.close()
        if hasattr(self, "buffer"):
            self.buffer.close()

    # Producers ----------------------------------------------------------------------------------------------

    @rule(who=st.integers(0, 1), records=st.integers(0, 5), dropped=st.integers(0, 2))
    def pack(self, who: int, records: int, dropped: int) -> None:
        """A producer packs a frame, perhaps a farewell, that may carry later drops."""
        sender = self.senders[who]
        before = sender.sent[-1][2] if sender.sent else None
        total = sum(1 for _ in sender.sent) + dropped
        first = sender.producer.next_seq
        drops = {"full": total} if before is None or dropped else {"full": total, "unsent": 1}
        sender.sent.append((first, records, sender.producer.frame(records, drops)))

    @rule(who=st.integers(0, 1), data=st.data(), accept_gap=st.booleans())
    def append(self, who: int, data: st.DataObject, accept_gap: bool) -> None:
        """A producer sends some of its frames in order: new ones, old ones, or with some left out."""
        sender = self.senders[who]
        if not sender.sent:
            return
        begin = data.draw(st.integers(0, len(sender.sent) - 1))
        chosen = sender.sent[begin : begin + data.draw(st.integers(1, 4))]
        if len(chosen) > 2 and data.draw(st.booleans()):
            del chosen[1]
        expected, stored = self.expect_append(sender, chosen, accept_gap)
        try:
            answer = self.buffer.append([frame for _, _, frame in chosen], accept_gap=accept_gap)
        except BufferFull:
            assert stored, "only what takes room may be refused for want of room"
            event("full")
            return
        assert answer == expected
        self.take(sender, chosen, accept_gap)
        unknown = [one for one in self.log if not one.position]
        if unknown:
            positions = self.positions()[-len(unknown) :]
            assert positions == sorted({*positions, self.position(len(self.log) - len(unknown))})[-len(unknown) :]
            for one, position in zip(unknown, positions, strict=True):
                one.position = position

    def expect_append(
        self, sender: Sender, chosen: list[tuple[int, int, bytes]], accept_gap: bool
    ) -> tuple[Gap | None, bool]:
        """Return the answer that is due, and whether anything is stored."""
        next_seq, stored = sender.next_seq, False
        for first, records, _ in chosen:
            if first > next_seq and not accept_gap:
                return Gap(next_seq), stored
            if first >= next_seq:
                next_seq = first + records
                stored |= records > 0
        return None, stored

    def take(self, sender: Sender, chosen: list[tuple[int, int, bytes]], accept_gap: bool) -> None:
        """Do in the model what an append does."""
        for first, records, frame in chosen:
            if first > sender.next_seq and not accept_gap:
                event("gap")
                return
            for cause, total in _drops(frame).items():
                sender.drops[cause] = max(total, sender.drops.get(cause, 0))
            if first < sender.next_seq:
                event("repeated")
                continue
            self.lost += first - sender.next_seq
            sender.next_seq = first + records
            if records:
                self.log.append(Frame(frame, records, self.stored, 0))
                self.stored += records

    @rule(who=st.integers(0, 1))
    def new_producer(self, who: int) -> None:
        """A process starts again: another producer, whose frames are its own. The old one's drops stay counted."""
        self.retired = [*getattr(self, "retired", []), self.senders[who]]
        self.senders[who] = Sender()

    # Pumps --------------------------------------------------------------------------------------------------

    @rule(pump=st.sampled_from(PUMPS), start=st.sampled_from(["oldest", "newest"]))
    def register(self, pump: str, start: str) -> None:
        """A runner registers a pump of its configuration."""
        self.buffer.register(pump, start)  # type: ignore[arg-type]
        self.model_register(pump, start)

    def model_register(self, pump: str, start: str) -> None:
        """Register in the model."""
        if pump in self.pumps:
            return
        at = len(self.log) if start == "newest" else self.trimmed
        self.pumps[pump] = Pump(at, self.ordinal(at), buffer_id=self.buffer_id)

    def ordinal(self, at: int) -> int:
        """Return how many records are stored before frame number `at`."""
        return self.log[at].ordinal if at < len(self.log) else self.stored

    def position(self, at: int) -> int:
        """Return the position of whoever has passed so many frames."""
        return self.log[at - 1].position if at else 0

    @rule(pump=st.sampled_from(PUMPS))
    def open_cursor(self, pump: str) -> None:
        """A worker starts; a second one is turned away."""
        if pump in self.cursors:
            with pytest.raises(BufferBusy):
                self.buffer.cursor(pump)
            return
        cursor = self.buffer.cursor(pump)
        self.model_register(pump, "oldest")
        model = self.pumps[pump]
        assert cursor.was_reset == (model.buffer_id != self.buffer_id)
        self.notice_new_log(model)
        model.suspect = min(model.suspect, self.position(len(self.log)))
        self.cursors[pump], self.hands[pump] = cursor, []

    def notice_new_log(self, model: Pump) -> None:
        """Begin again in the model if the log is another one."""
        if model.buffer_id != self.buffer_id:
            event("reset")
            fresh = Pump(self.trimmed, self.ordinal(self.trimmed), buffer_id=self.buffer_id, wanted=model.wanted)
            fresh.letters, fresh.marks = dict.fromkeys(model.letters, 0), model.marks
            for field in attrs.fields(Pump):
                setattr(model, field.name, getattr(fresh, field.name))

    @precondition(lambda self: self.cursors)
    @rule(data=st.data(), records=st.integers(0, 12), more=st.booleans())
    def fetch(self, data: st.DataObject, records: int, more: bool) -> None:
        """A worker fetches, perhaps behind what it has in hand."""
        pump = data.draw(st.sampled_from(sorted(self.cursors)))
        cursor, model, hand = self.cursors[pump], self.pumps[pump], self.hands[pump]
        behind = more and hand and model.buffer_id == self.buffer_id
        deliveries = cursor.fetch(records, PLENTY, hand[-1].position if behind else None)
        self.notice_new_log(model)
        if not behind:
            hand.clear()
        begin = model.at + len(hand)
        expected = self.log[begin : begin + len(deliveries)]
        assert [one.frame for one in deliveries] == [one.frame for one in expected]
        assert [one.total for one in deliveries] == [one.records for one in expected]
        assert [one.redelivered for one in deliveries] == [one.position <= model.suspect for one in expected]
        assert bool(deliveries) == (begin < len(self.log))
        assert len(deliveries) <= 1 or sum(one.total for one in deliveries) <= records
        more_fit = begin + len(deliveries) < len(self.log)
        if deliveries and more_fit:
            assert sum(one.total for one in deliveries) + self.log[begin + len(deliveries)].records > records
        hand += deliveries

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """A worker commits the first frames in hand: delivered, filtered and dead records in any mixture."""
        pump = data.draw(st.sampled_from(sorted(name for name, hand in self.hands.items() if hand)))
        model, hand = self.pumps[pump], self.hands[pump]
        number = data.draw(st.integers(1, len(hand)))
        passed, through = hand[:number], hand[number - 1].position
        total = sum(one.total for one in passed)
        dead = data.draw(st.integers(0, min(3, total)))
        filtered = data.draw(st.integers(0, total - dead))
        redelivered = sum(one.total for one in passed if one.redelivered)
        letters = [letter(f"dead-{self.letters + n}", through) for n in range(dead)]
        self.letters += dead
        counts = Counts(total - dead - filtered, filtered, dead, redelivered)
        self.cursors[pump].commit(through, counts, letters)
        model.at += number
        model.delivered += counts.delivered
        model.filtered += counts.filtered
        model.dead += counts.dead
        model.redelivered += counts.redelivered
        model.letters |= {one.id: 1 for one in letters}
        model.parts = [part for part in model.parts if part.position > through]
        del hand[:number]

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        """A sink takes part of a batch in hand."""
        pump = data.draw(st.sampled_from(sorted(name for name, hand in self.hands.items() if hand)))
        delivery = data.draw(st.sampled_from(self.hands[pump]))
        first = data.draw(st.integers(0, delivery.total - 1))
        part = Part(delivery.position, first, data.draw(st.integers(first, delivery.total - 1)))
        self.cursors[pump].accept([part])
        self.pumps[pump].parts.append(part)

    @precondition(lambda self: self.cursors)
    @rule(data=st.data(), ahead=st.integers(-2, 6))
    def skip(self, data: st.DataObject, ahead: int) -> None:
        """A worker is told to move ahead; it drops what it has in hand."""
        pump = data.draw(st.sampled_from(sorted(self.cursors)))
        cursor, model = self.cursors[pump], self.pumps[pump]
        self.hands[pump].clear()
        if model.buffer_id != self.buffer_id:
            assert cursor.skip(PLENTY) == 0  # it only notices
            self.notice_new_log(model)
            return
        end = len(self.log)
        to = max(model.at, min(model.at + ahead, end))
        before = [part for part in model.parts if part.position <= self.position(to)]
        taken = {(part.position, n) for part in before for n in range(part.first, part.last + 1)}
        skipped = self.ordinal(to) - self.ordinal(model.at) - len(taken)
        beyond = max(0, model.at + ahead - end)
        assert cursor.skip(self.position(max(0, min(model.at + ahead, end))) + beyond) == skipped
        model.at, model.skipped, model.delivered = to, model.skipped + skipped, model.delivered + len(taken)
        model.parts = [part for part in model.parts if part not in before]

    @precondition(lambda self: self.cursors)
    @rule(data=st.data())
    def close_cursor(self, data: st.DataObject) -> None:
        """A worker stops cleanly, perhaps with frames in hand."""
        pump = data.draw(st.sampled_from(sorted(self.cursors)))
        self.cursors.pop(pump).close()
        hand, model = self.hands.pop(pump), self.pumps[pump]
        model.suspect = max([model.suspect, *(one.position for one in hand)])

    @precondition(lambda self: self.cursors)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A worker is gone without a word; so is its lock."""
        event("crash")
        pump = data.draw(st.sampled_from(sorted(self.cursors)))
        del self.cursors[pump], self.hands[pump]
        gc.collect()
        self.pumps[pump].suspect = PLENTY

    # The command line ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.pumps)
    @rule(data=st.data(), wanted=st.sampled_from(["run", "pause"]))
    def want(self, data: st.DataObject, wanted: str) -> None:
        """A person pauses or resumes a pump."""
        pump = data.draw(st.sampled_from(sorted(self.pumps)))
        self.buffer.set_wanted(pump, wanted)  # type: ignore[arg-type]
        self.pumps[pump].wanted = wanted

    @precondition(lambda self: any(pump.letters for pump in self.pumps.values()))
    @rule(data=st.data(), mark=st.sampled_from(["replay", "purge"]), everything=st.booleans())
    def mark(self, data: st.DataObject, mark: str, everything: bool) -> None:
        """A person marks dead letters."""
        pump = data.draw(st.sampled_from(sorted(name for name, pump in self.pumps.items() if pump.letters)))
        letters = sorted(self.pumps[pump].letters)
        ids = None if everything else data.draw(st.lists(st.sampled_from([*letters, "unknown"]), max_size=3))
        marked = set(letters if ids is None else ids) & set(letters)
        assert self.buffer.mark(pump, mark, ids) == len(marked)  # type: ignore[arg-type]
        self.pumps[pump].marks |= dict.fromkeys(marked, mark)

    @precondition(lambda self: any(self.pumps[name].marks for name in self.cursors))
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        """A worker does what the marks say; some replays fail again."""
        pump = data.draw(st.sampled_from(sorted(name for name in self.cursors if self.pumps[name].marks)))
        cursor, model = self.cursors[pump], self.pumps[pump]
        marked = cursor.marked(3)
        purged = [one.id for one in marked if one.mark == "purge"]
        replays = [one for one in marked if one.mark == "replay"]
        failed = data.draw(st.lists(st.sampled_from(replays), unique=True)) if replays else []
        replayed = [one.id for one in replays if one not in failed]
        cursor.resolve(replayed, purged, failed)
        for one in marked:
            del model.marks[one.id]
        for id_ in purged:
            del model.letters[id_]
        for id_ in replayed:
            records = model.letters.pop(id_)
            model.dead -= records
            model.delivered += records

    @precondition(lambda self: self.pumps)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """A person drops a pump, which works unless a worker has it."""
        pump = data.draw(st.sampled_from(sorted(self.pumps)))
        if pump in self.cursors:
            with pytest.raises(BufferBusy):
                self.buffer.drop_cursor(pump)
        else:
            self.buffer.drop_cursor(pump)
            del self.pumps[pump]

    @precondition(lambda self: self.pumps)
    @rule(data=st.data(), new=st.sampled_from(PUMPS))
    def rename(self, data: st.DataObject, new: str) -> None:
        """A person renames a pump, which works unless a worker has it or the name is taken."""
        pump = data.draw(st.sampled_from(sorted(self.pumps)))
        if pump in self.cursors:
            with pytest.raises(BufferBusy):
                self.buffer.rename_cursor(pump, new)
        elif new in self.pumps:
            with pytest.raises(ValueError, match=new):
                self.buffer.rename_cursor(pump, new)
        else:
            self.buffer.rename_cursor(pump, new)
            self.pumps[new] = self.pumps.pop(pump)

    @rule(room=st.sampled_from([0, 2_000, 10_000, PLENTY]))
    def cap(self, room: int) -> None:
        """A person sets the size cap, perhaps below what is used."""
        self.buffer.set_max_bytes(max(1, self.buffer.stats().size_bytes - 5_000 + room))

    # The runner ---------------------------------------------------------------------------------------------

    @rule()
    def trim(self) -> None:
        """The runner trims: exactly what every registered pump has passed."""
        passed = min((self.place(pump) for pump in self.pumps.values()), default=0)
        due = max(0, passed - self.trimmed)
        assert self.buffer.trim() == due
        self.trimmed += due

    def place(self, pump: Pump) -> int:
        """Return how many frames of the present log a pump has passed."""
        return pump.at if pump.buffer_id == self.buffer_id else self.trimmed

    # Mishaps ------------------------------------------------------------------------------------------------

    @rule()
    def reopen(self) -> None:
        """Everything stops cleanly and starts again."""
        for pump in list(self.cursors):
            self.cursors.pop(pump).close()
            hand, model = self.hands.pop(pump), self.pumps[pump]
            model.suspect = max([model.suspect, *(one.position for one in hand)])
        self.buffer.close()
        self.buffer = open_buffer(self.url)

    @rule()
    def crash_all(self) -> None:
        """Everything is gone without a word, and starts again."""
        for pump in self.cursors:
            self.pumps[pump].suspect = PLENTY
        self.cursors.clear()
        self.hands.clear()
        del self.buffer
        gc.collect()
        self.buffer = open_buffer(self.url)

    @rule(everything=st.booleans())
    def recreate(self, everything: bool) -> None:
        """Somebody removes the log under everybody's hands."""
        self.remove_log(everything)
        self.retired = []
        for hand in self.hands.values():
            hand.clear()  # the old log's
        self.new_log()

    # What always holds --------------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        """The log says of itself what the model says, and every ledger balances."""
        stats = self.buffer.stats()
        assert stats.buffer_id == self.buffer_id
        assert (stats.stored, stats.lost) == (self.stored, self.lost)
        assert stats.frames == len(self.log) - self.trimmed
        drops: dict[str, int] = {}
        for sender in [*self.senders, *getattr(self, "retired", [])]:
            for cause, total in sender.drops.items():
                drops[cause] = drops.get(cause, 0) + total
        assert stats.drops == drops
        by_host = {cause: sum(pair.drops.get(cause, 0) for pair in stats.drops_by_host) for cause in drops}
        assert by_host == drops
        assert all(pair.host == socket.gethostname() for pair in stats.drops_by_host)
        assert stats.cursors.keys() == self.pumps.keys()
        for name, pump in self.pumps.items():
            is_current = pump.buffer_id == self.buffer_id
            ledger = pump if is_current else Pump(self.trimmed, self.ordinal(self.trimmed))
            cursor = stats.cursors[name]
            assert cursor.position == self.position(ledger.at)
            assert cursor.began == ledger.began
            assert cursor.delivered == ledger.delivered
            assert cursor.filtered == ledger.filtered
            assert cursor.dead == ledger.dead
            assert cursor.skipped == ledger.skipped
            assert cursor.redelivered == ledger.redelivered
            assert cursor.lag == self.stored - self.ordinal(ledger.at)
            accounted = cursor.delivered + cursor.filtered + cursor.dead + cursor.skipped + cursor.lag
            assert stats.stored - cursor.began == accounted
            assert self.trimmed <= ledger.at, "a frame is gone that a registered pump has not passed"
            assert (cursor.wanted, cursor.dead_letters) == (pump.wanted, len(pump.letters))
            letters = self.buffer.dead_letters(name, limit=PLENTY)
            assert {one.id: one.mark for one in letters} == {id_: pump.marks.get(id_) for id_ in pump.letters}
        for name, cursor in self.cursors.items():
            if self.pumps[name].buffer_id == self.buffer_id:
                assert sorted(cursor.accepted()) == sorted(self.pumps[name].parts)


def _drops(frame: bytes) -> dict[str, int]:
    return read_header(frame).drops


#: What hypothesis must not complain about.
ANY_SPEED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
