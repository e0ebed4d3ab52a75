"""Goal: what decides after a death is read rightly. Method: small journals and files by hand."""

from hedge.decide.rows import Row
from hedge.journal import boot_id, leased
from hedge.model import Leg


def test_the_newest_epoch_counts_and_the_highest_id_of_each_leg(samples):
    assert leased([]).last == {Leg.SPOT: 0, Leg.FUTURES: 0}
    entries = [
        samples.started(1),
        samples.lease(Leg.SPOT, 1, 16),
        samples.lease(Leg.FUTURES, 1, 48),
        samples.lease(Leg.SPOT, 1, 32),
        samples.place(),
        samples.started(2),
        samples.lease(Leg.FUTURES, 2, 16),
        samples.lease(Leg.SPOT, 1, 64),
    ]
    rows = [Row(seq=n, at=0, entry=entry) for n, entry in enumerate(entries, 1)]
    assert leased(rows[:5]).last == {Leg.SPOT: 32, Leg.FUTURES: 48}
    assert leased(rows[:6]).last == {Leg.SPOT: 0, Leg.FUTURES: 0}
    assert leased(rows).epoch == 2
    assert leased(rows).last == {Leg.SPOT: 0, Leg.FUTURES: 16}


def test_the_boot_id_and_its_two_substitutes(tmp_path):
    assert len(boot_id()) >= 8
    assert boot_id() == boot_id()
    none = tmp_path / "none"
    stat = tmp_path / "stat"
    stat.write_text("cpu 1 2\nbtime 1767225600\nprocesses 3\n")
    assert boot_id(none, stat) == "btime-1767225600"
    assert boot_id(none, none) != boot_id(none, none)
