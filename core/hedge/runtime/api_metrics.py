"""What Prometheus scrapes: gauges made from the snapshots, and the meters the runtime turns."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hedge.decide.mode import Mode
from hedge.runtime.snapshot import HedgeSnapshot

_GAUGES = (
    ("hedge_delta_bps", "delta_bps", "What is unhedged, in basis points of the target."),
    ("hedge_unhedged_usd", "delta_quote", "What is unhedged, in quote, unsigned."),
    ("hedge_funding_rate", "funding_rate", "Funding rate per interval, positive: longs pay."),
    ("hedge_funding_total", "funding_received", "Funding received so far, in quote."),
    ("hedge_fees_total", "fees_paid", "Fees paid so far, in quote."),
    ("hedge_margin_ratio", "margin_ratio", "Margin ratio of the futures account."),
    ("hedge_liquidation_distance", "liquidation_distance", "Distance to liquidation, a fraction."),
)
_REACTION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Meters:
    """What no snapshot holds; the runtime turns these as things happen."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        hedge, venue = ["hedge"], ["venue"]
        self.fill_to_hedge_seconds = Histogram(
            "hedge_fill_to_hedge_seconds",
            "From a spot fill to its futures order.",
            hedge,
            registry=self.registry,
            buckets=_REACTION_BUCKETS,
        )
        self.order_rejects = Counter(
            "hedge_order_rejects", "Orders refused.", ["hedge", "leg"], registry=self.registry
        )
        self.pnl_unexplained = Gauge(
            "hedge_pnl_unexplained", "Equity nobody explains.", hedge, registry=self.registry
        )
        self.clock_offset_seconds = Gauge(
            "hedge_clock_offset_seconds", "Venue time - ours.", venue, registry=self.registry
        )
        self.rate_used_ratio = Gauge(
            "hedge_rate_used_ratio", "Rate budget used.", venue, registry=self.registry
        )
        self.last_reconcile_timestamp = Gauge(
            "hedge_last_reconcile_timestamp",
            "Unix time of the last audit that was answered whole.",
            hedge,
            registry=self.registry,
        )

    def watch(self, snapshots: Callable[[], Sequence[HedgeSnapshot]]) -> None:
        """Make the gauges of `/metrics` from these snapshots, at each scrape."""
        self.registry.register(_Snapshots(snapshots))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Snapshots(Collector):
    def __init__(self, snapshots: Callable[[], Sequence[HedgeSnapshot]]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterable[GaugeMetricFamily]:
        shots = list(self._snapshots())
        for name, field, help_text in _GAUGES:
            family = GaugeMetricFamily(name, help_text, labels=["hedge"])
            for shot in shots:
                value: Decimal | None = getattr(shot, field)
                if value is not None:
                    shown = abs(value) if name == "hedge_unhedged_usd" else value
                    family.add_metric([shot.name], _number(shown))
            yield family
        yield self._modes(shots)
        yield self._ages(shots)

    def _modes(self, shots: Sequence[HedgeSnapshot]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "hedge_mode", "1 for the present mode.", labels=["hedge", "mode"]
        )
        for shot in shots:
            for mode in Mode:
                family.add_metric([shot.name, mode.value], int(shot.mode == mode.value))
        return family

    def _ages(self, shots: Sequence[HedgeSnapshot]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "hedge_stream_age_seconds",
            "Since the stream was last heard.",
            labels=["hedge", "leg"],
        )
        for shot in shots:
            ages = (("spot", shot.spot_stream_age_ms), ("futures", shot.futures_stream_age_ms))
            for leg, age in ages:
                if age is not None:
                    family.add_metric([shot.name, leg], age / 1000)
        return family


def _number(value: Decimal) -> float:
    """Hand an exact number to the exposition, which prints it as a float itself."""
    return cast("float", value)
