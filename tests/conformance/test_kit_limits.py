"""A sink that never comes back fails its case, and the cases after it are run."""

import signal
import time
from collections.abc import Iterator

import pytest

from pumpkit.testing.case import Failed
from pumpkit.testing.limit import within


def retry_for_ever() -> None:
    """Do what a sink does that takes every exception for a reason to try again."""
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


@pytest.fixture
def alarm() -> Iterator[None]:
    """Let somebody else limit the test, as pytest-timeout does, if nobody does yet."""
    handler = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    timer = signal.setitimer(signal.ITIMER_REAL, 60.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, *timer)
    signal.signal(signal.SIGALRM, handler)


def test_a_call_that_never_comes_back_is_failed() -> None:
    """Also one that takes every exception for a reason to try again."""
    call = within(0.05, "a write")(retry_for_ever)
    with pytest.raises(Failed, match=r"a write did not come back within 0\.05 s"):
        call()


@pytest.mark.usefixtures("alarm")
def test_a_call_that_comes_back_leaves_no_limit() -> None:
    """Whatever else limits a test does so as before."""
    with within(0.05, "a write"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] <= 0.05
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    assert 0.05 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60.0
