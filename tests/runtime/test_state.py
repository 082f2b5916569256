"""An interrupt between two assignments must not be possible."""

import signal
import threading
from types import FrameType

import pytest

from kgraph.runtime import assign_all


class Slot:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Plain:
    value = 0


@pytest.mark.parametrize("kind", [Slot, Plain])
def test_all_are_assigned(kind: type) -> None:
    owners = [kind() for _ in range(3)]
    assign_all(owners, "value", range(10, 13))
    assert [owner.value for owner in owners] == [10, 11, 12]


@pytest.mark.skipif(
    not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread(),
    reason="needs a timer's signal",
)
def test_an_interrupt_finds_one_state_or_the_other() -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    owners = [Slot() for _ in range(20000)]
    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        for step in range(1, 60):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 * (step % 10 + 1))
                while True:
                    assign_all(owners, "value", [step] * len(owners))
                    assign_all(owners, "value", [-step] * len(owners))
            except KeyboardInterrupt:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert len({owner.value for owner in owners}) == 1
    finally:
        signal.signal(signal.SIGALRM, old)
