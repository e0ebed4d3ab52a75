"""What Prometheus scrapes: gauges made from the snapshots, and meters that the rows turn."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hedge.decide.events import OrderRefused
from hedge.decide.mode import Mode
from hedge.decide.rows import Row
from hedge.model import Leg
from hedge.model.numbers import SECOND
from hedge.runtime.reaction import Reaction
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
    """What no snapshot holds, told from the rows of each hedge and from the reports asked for."""

    def __init__(self, snapshots: Callable[[], Sequence[HedgeSnapshot]]) -> None:
        """Make the gauges of `/metrics` from these snapshots, at each scrape."""
        registry = self._registry = CollectorRegistry()
        registry.register(_Snapshots(snapshots))
        hedge = ["hedge"]
        self._reactions: dict[str, Reaction] = {}
        self._fill_to_hedge = Histogram(
            "hedge_fill_to_hedge_seconds",
            "From a spot fill at the venue (its time, less its clock's offset) until its futures"
            " order was decided; what the sending takes is not in it.",
            hedge,
            registry=registry,
            buckets=_REACTION_BUCKETS,
        )
        self._order_rejects = Counter(
            "hedge_order_rejects",
            "Orders that a venue refused, or that certainly never left.",
            ["hedge", "leg"],
            registry=registry,
        )
        self._pnl_unexplained = Gauge(
            "hedge_pnl_unexplained",
            "Change of equity that nothing explains, in quote, as the last report has it that this"
            " engine was asked for.",
            hedge,
            registry=registry,
        )
        self._pnl_measured = Gauge(
            "hedge_pnl_measured_timestamp",
            "Unix time of the measurement that hedge_pnl_unexplained reaches up to.",
            hedge,
            registry=registry,
        )

    def begin(self, hedge: str) -> None:
        """Count from zero what may never happen, so that its first time is a change."""
        if hedge not in self._reactions:
            self._reactions[hedge] = Reaction()
            self._fill_to_hedge.labels(hedge)
            for leg in Leg:
                self._order_rejects.labels(hedge, leg.value)

    def take(self, hedge: str, row: Row) -> None:
        """Take a row of a hedge that has begun."""
        if isinstance(row.entry, OrderRefused):
            self._order_rejects.labels(hedge, row.entry.leg.value).inc()
        for waited in self._reactions[hedge].take(row):
            self._fill_to_hedge.labels(hedge).observe(waited / SECOND)

    def reported(self, hedge: str, report: Mapping[str, object]) -> None:
        """Take what `/v1/report` answers; without two measurements it says nothing."""
        if report.get("unexplained") is not None:
            ends = datetime.fromisoformat(str(report["ends_at"]))
            self._pnl_unexplained.labels(hedge).set(_number(Decimal(str(report["unexplained"]))))
            self._pnl_measured.labels(hedge).set(ends.timestamp())

    def text(self) -> bytes:
        return generate_latest(self._registry)


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
        yield self._clocks(shots)
        yield self._reconciled(shots)

    def _modes(self, shots: Sequence[HedgeSnapshot]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "hedge_mode", "1 for the present mode.", labels=["hedge", "mode"]
        )
        for shot in shots:
            for mode in Mode:
                family.add_metric([shot.name, mode.value], int(shot.mode == mode.value))
        return family

    def _ages(self, shots: Sequence[HedgeSnapshot]) -> GaugeMetricFamily:
        return _by_leg(
            "hedge_stream_age_seconds",
            "Since the stream was last heard.",
            [(one.name, one.spot_stream_age_ms, one.futures_stream_age_ms) for one in shots],
            1_000,
        )

    def _clocks(self, shots: Sequence[HedgeSnapshot]) -> GaugeMetricFamily:
        return _by_leg(
            "hedge_clock_offset_seconds",
            "The venue's time less ours, as the leg's last audit measured it.",
            [(one.name, one.spot_clock_offset, one.futures_clock_offset) for one in shots],
            SECOND,
        )

    def _reconciled(self, shots: Sequence[HedgeSnapshot]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "hedge_last_reconcile_timestamp",
            "Unix time since when both legs were read whole: the older of their last audits.",
            labels=["hedge"],
        )
        for shot in shots:
            if shot.reconciled_at is not None:
                family.add_metric([shot.name], shot.reconciled_at / SECOND)
        return family


def _by_leg(
    name: str, text: str, rows: Iterable[tuple[str, int | None, int | None]], unit: int
) -> GaugeMetricFamily:
    """Make a family of (hedge, spot, futures), in ``unit`` a second; None is left out."""
    family = GaugeMetricFamily(name, text, labels=["hedge", "leg"])
    for hedge, *values in rows:
        for leg, value in zip(("spot", "futures"), values, strict=True):
            if value is not None:
                family.add_metric([hedge, leg], value / unit)
    return family


def _number(value: Decimal) -> float:
    """Hand an exact number to the exposition, which prints it as a float itself."""
    return cast("float", value)
