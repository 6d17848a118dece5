"""Leases: who may do what, for as long as it lives, with a token that fences off whoever woke up too late.

A lease ends when nobody has renewed it for `TTL`, or at once when its holder is seen to be dead (on the same machine).
Until somebody else takes it, a late renewal is good: only the token counts, and every script that changes something
checks it in the same step. So a frozen process can wake up whenever it likes.
"""

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pumpkit.buffers.redis.link import Argument, Link
from pumpkit.errors import BufferBusy, BufferError, Fenced

#: Seconds without a renewal after which a lease may be taken, and between renewals.
TTL = 6.0
PERIOD = 1.5

#: A holder may be found dead this often while one lease is taken.
_TRIES = 20

#: Seconds for which what a holder said of itself is kept after its lease ended.
MEMORY = 7 * 86_400.0

log = logging.getLogger(__name__)


class Held(NamedTuple):
    """A lease as the server has it. `since_end` is negative while it is good, in seconds."""

    name: str
    token: str
    holder: dict[str, str]
    since_end: float

    @property
    def alive(self) -> bool:
        """Whether its holder may still be there."""
        return bool(self.token) and self.since_end < 0 and not is_dead(self.holder)


def held(time_now: int, name: bytes, token: bytes, until: bytes, holder: bytes) -> Held:
    """Return a lease as scripts return it; `time_now` and `until` are in microseconds of the server's clock."""
    return Held(name.decode(), token.decode(), json.loads(holder or b"{}"), (time_now - int(until)) / 1e6)


class Lease:
    """A lease that this process has taken; `Leases.take` makes it."""

    def __init__(self, leases: "Leases", name: str, token: str, holder: dict[str, str], *, lasting: bool) -> None:
        self.name = name
        self.token = token
        self.holder = holder
        #: Whether it is taken again if the server has lost it.
        self.lasting = lasting
        #: Whether it is known to be another's.
        self.lost = False
        self._leases = leases
        self._pid = os.getpid()
        self.renewed = _clock()

    def check(self) -> None:
        """Make sure that it is still held; it is renewed first if it may have ended meanwhile.

        Raises Fenced, BufferUnavailable.
        """
        if not self.lost and _clock() - self.renewed >= TTL / 2:
            self._leases.renew([self])
        if self.lost:
            raise Fenced(f"the lease {self.name} was taken over by somebody else")

    def tell(self, holder: Mapping[str, str]) -> None:
        """Say something else of its holder."""
        self.holder = {**_myself(), **holder}
        self._leases.say(self, self.holder)

    def release(self, leave_word: bool = False) -> None:
        """Give it back; with `leave_word` what was said of the holder stays. Idempotent, nothing in a forked child."""
        if self._pid != os.getpid() or not self._leases.forget(self):
            return
        with contextlib.suppress(BufferError):  # then it ends by itself
            self._leases.say(self, self.holder if leave_word else {}, token="")


class Leases:
    """The leases of one hash in a Redis; a thread renews those that this process holds."""

    def __init__(self, link: Link, key: str) -> None:
        self._link = link
        self._key = key
        self._pid = os.getpid()
        self._begin()

    def _begin(self) -> None:
        self._mine: dict[str, Lease] = {}
        self._unanswered: dict[str, str] = {}  # tokens of leases that this process may have taken without knowing
        self._guard = threading.RLock()  # a cursor that is collected meanwhile gives its lease back
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def _begin_if_forked(self) -> None:
        """In a forked child, hold nothing: what the parent holds stays the parent's."""
        if self._pid != os.getpid():
            self._begin()
            self._pid = os.getpid()

    def take(self, name: str, holder: Mapping[str, str] | None = None, *, lasting: bool = False) -> Lease:
        """Take a lease. Raises BufferBusy, naming who holds it or one that stands in its way; BufferUnavailable.

        A `lasting` one is taken again, if it is still free, when the server has lost it with its memory.
        """
        self._begin_if_forked()
        said = {**_myself(), **(holder or {})}
        token = secrets.token_hex(8)
        dead: list[str] = []
        if name in self._unanswered:
            dead += [name, self._unanswered[name]]
        for _ in range(_TRIES):
            began = _clock()
            self._unanswered[name] = token
            answer = self._ask_for(name, token, said, dead)
            del self._unanswered[name]
            if answer[0] == b"ok":
                lease = Lease(self, name, token, said, lasting=lasting)
                lease.renewed = began
                self._keep(lease)
                return lease
            other, its_token, its_holder = (part.decode() for part in answer[1:])
            holding = json.loads(its_holder)
            if not is_dead(holding):
                who = f"process {holding.get('pid')} on {holding.get('host')}"
                raise BufferBusy(f"{other.replace(':', ' ', 1)} in {self._link.place.shown} is held by {who}")
            dead += [other, its_token]
        raise BufferBusy(f"{name} in {self._link.place.shown} changes hands too often")

    def _ask_for(self, name: str, token: str, holder: Mapping[str, str], dead: Sequence[str] = ()) -> Any:
        words: list[Argument] = [name, token, json.dumps(holder), int(TTL * 1e6), int(MEMORY * 1e6), *dead]
        return self._link.call("take", [self._key], words)

    def all(self) -> list[Held]:
        """Return every lease there is, good or not."""
        time_now, *found = self._link.call("leases", [self._key], [int(TTL * 1e6)])
        return [held(int(time_now), *values) for values in found]

    def renew(self, leases: Sequence[Lease]) -> None:
        """Renew leases; those that are not held any more are `lost` afterwards. Raises BufferUnavailable."""
        began = _clock()
        words = [word for lease in leases for word in (lease.name, lease.token)]
        answers = self._link.call("renew", [self._key], [int(TTL * 1e6), *words], timeout=1.0)
        for lease, answer in zip(leases, answers, strict=True):
            if answer == 1:
                lease.renewed = began
            elif not lease.lost:
                is_mine = self._mine.get(lease.name) is lease  # else it was given back meanwhile, or taken again
                if answer < 0 and is_mine and lease.lasting and self._take_again(lease):
                    lease.renewed = began
                    continue
                lease.lost = True
                if is_mine:
                    log.warning("the lease %s was taken over, or lost with the memory of the server", lease.name)

    def _take_again(self, lease: Lease) -> bool:
        if self._ask_for(lease.name, lease.token, lease.holder)[0] != b"ok":
            return False
        log.warning("the lease %s was lost with the memory of the server; took it again", lease.name)
        return True

    def say(self, lease: Lease, holder: Mapping[str, str], token: str | None = None) -> None:
        """Replace what is said of a lease's holder; with an empty token the lease is given back."""
        said = json.dumps(holder) if holder else ""
        self._link.call("say", [self._key], [lease.name, lease.token, said, lease.token if token is None else token])

    def forget(self, lease: Lease) -> bool:
        """Renew a lease no more; return whether it was renewed until now."""
        self._begin_if_forked()
        with self._guard:
            if self._mine.get(lease.name) is not lease:  # it may be another one by now
                return False
            del self._mine[lease.name]
            return True

    def close(self) -> None:
        """Give every lease back and end the thread. Idempotent."""
        self._begin_if_forked()
        with self._guard:
            mine, thread = list(self._mine.values()), self._thread
        for lease in mine:
            lease.release()
        self._wake.set()
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            thread.join(TTL)

    def _keep(self, lease: Lease) -> None:
        with self._guard:
            self._mine[lease.name] = lease
            if self._thread is None or not self._thread.is_alive():
                self._wake.clear()
                self._thread = threading.Thread(target=self._renew_all, name="pumpkit-leases", daemon=True)
                self._thread.start()

    def _renew_all(self) -> None:
        while not self._wake.wait(PERIOD):
            with self._guard:
                mine = list(self._mine.values())
                if not mine:
                    self._thread = None
                    return
            with contextlib.suppress(BufferError):  # whoever works with the buffer will say so
                self.renew(mine)


def _clock() -> float:
    """Return seconds that go on while the machine is asleep, where it tells: others may take a lease meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _myself() -> dict[str, str]:
    pid = os.getpid()
    return {"pid": str(pid), "host": socket.gethostname(), "life": f"{_machine()}/{_started(pid)}"}


def is_dead(holder: Mapping[str, str]) -> bool:
    """Whether a holder is known to be dead: it was a process of this machine, and is no more."""
    machine, _, started = holder.get("life", "").rpartition("/")
    if not machine or machine != _machine() or not started:
        return False
    pid = int(holder["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's; its times may be hidden
        pass
    return _started(pid) not in (started, "")


def _machine() -> str:
    """Return what stands for this machine since its boot, and for the processes that see each other; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; "" if that is not to be known, "ended" for a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] in "ZX" else fields[19]
