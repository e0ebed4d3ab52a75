"""Goal: collections and switches are out of the way while a hedge runs, and as before afterwards.
Method: the interpreter's own counters, before, within and after; and a ring that must still go.
"""

import gc
import sys
import weakref

from hedge.runtime.quiet import GC_THRESHOLDS, SWITCH_S, quiet_interpreter


class Ring:
    """Keeps itself alive until a collection finds it."""

    def __init__(self) -> None:
        self.myself = self


def test_it_is_quiet_within_and_as_before_after_it() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    with quiet_interpreter():
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() == GC_THRESHOLDS
        assert abs(sys.getswitchinterval() - SWITCH_S) < SWITCH_S / 10
        assert gc.isenabled()
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
    assert gc.get_freeze_count() == 0


def test_what_is_dropped_before_is_collected_and_not_frozen() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    del ring
    with quiet_interpreter():
        assert gone() is None


def test_rings_made_within_do_not_pile_up() -> None:
    with quiet_interpreter():
        rings = [weakref.ref(Ring()) for _ in range(3 * GC_THRESHOLDS[0])]
        assert sum(one() is not None for one in rings) <= GC_THRESHOLDS[0]
