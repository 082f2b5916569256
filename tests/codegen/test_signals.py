"""A signal that comes while code runs uninterrupted is handled afterwards."""

import os
import signal
import threading
from types import FrameType

import pytest

from kgraph.codegen.signals import uninterrupted

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGUSR1") or threading.current_thread() is not threading.main_thread(),
    reason="needs signals",
)


class HandledError(Exception):
    pass


def _handle(number: int, frame: FrameType | None) -> None:
    raise HandledError


@pytest.fixture(autouse=True)
def _handler():
    old = signal.signal(signal.SIGUSR1, _handle)
    yield
    signal.signal(signal.SIGUSR1, old)


def test_the_code_ends_first() -> None:
    done = []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        done.append(sum(range(1000)))

    with pytest.raises(HandledError):
        uninterrupted(work)
    assert done
    assert signal.getsignal(signal.SIGUSR1) is _handle
    with pytest.raises(HandledError):
        os.kill(os.getpid(), signal.SIGUSR1)


def test_results_errors_and_other_threads() -> None:
    assert uninterrupted(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        uninterrupted(lambda: 1 // 0)
    assert signal.getsignal(signal.SIGUSR1) is _handle
    found = []
    thread = threading.Thread(target=lambda: found.append(uninterrupted(lambda: 5)))
    thread.start()
    thread.join()
    assert found == [5]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_handlers_are_restored_whenever_the_signal_comes() -> None:
    halves = [0, 0]

    def both() -> None:
        halves[0] += 1
        halves[1] += 1

    old = signal.signal(signal.SIGALRM, _handle)
    try:
        for i in range(100):
            halves[:] = 0, 0
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 * (i + 1))
                while halves[0] < 10**5:
                    uninterrupted(both)
            except HandledError:
                pass
            assert halves[0] == halves[1]
            assert signal.getsignal(signal.SIGALRM) is _handle
            assert signal.getsignal(signal.SIGUSR1) is _handle
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
