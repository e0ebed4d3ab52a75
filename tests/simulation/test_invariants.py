"""Goal: an invariant that looks only at what has changed sees what one sees that looks at all.

Method: the same seeds with both, on the core as it is and on engines that let orders go back.
"""

from decimal import Decimal

import pytest
from episode import run

from hedge.decide import commands as c
from hedge.decide.engine import Engine
from hedge.decide.events import AnyEvent
from hedge.decide.leg_book import OrderRecord
from hedge.decide.orders import OrderStatus
from hedge.model.numbers import SECOND

SEEDS = range(1, 21)


class Wrong(Engine):
    """Changes one order, a second after its end, when the books change anyway."""

    def handle(self, event: AnyEvent) -> tuple[c.AnyCommand, ...]:
        commands = super().handle(event)
        if self.touched:
            for record in self.books.spot.orders.values():
                if record.status is OrderStatus.FILLED and record.ended_at < self.now - SECOND:
                    self.spoil(record)
                    break
        return commands

    def spoil(self, record: OrderRecord) -> None:
        raise NotImplementedError


class Reviving(Wrong):
    def spoil(self, record: OrderRecord) -> None:
        record.status = OrderStatus.WORKING


class Forgetting(Wrong):
    def spoil(self, record: OrderRecord) -> None:
        record.filled /= 2


class Believing(Wrong):
    def spoil(self, record: OrderRecord) -> None:
        record.filled += Decimal("0.5")


def test_on_the_core_as_it_is():
    for seed in SEEDS:
        quick, thorough = run(seed, judged=False), run(seed)
        assert not quick.violations + thorough.violations, seed
        assert (quick.hash, quick.spans) == (thorough.hash, thorough.spans), seed


@pytest.mark.parametrize(
    ("engine", "broken"), [(Reviving, "I15"), (Forgetting, "I15"), (Believing, "I4")]
)
def test_on_an_engine_whose_orders_change_behind_their_end(engine: type[Engine], broken: str):
    seen = set()
    for seed in SEEDS:
        quick, thorough = run(seed, engine=engine, judged=False), run(seed, engine=engine)
        assert quick.violations[:1] == thorough.violations[:1], seed
        seen |= {why.split()[0] for why in quick.violations}
    assert broken in seen
