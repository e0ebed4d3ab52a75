"""A report as text, as plain data for JSON, and as CSV; digits are rounded here and nowhere else.

On the screen every amount has the same number of decimals. The shown lines add up to the shown
total: where rounding each alone would not, the lines that are furthest from their rounded value
give or take one unit of the last digit.
"""

import csv
import io
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from hedge.model.numbers import ZERO, plain
from hedge.report.attribution import DayLines, Report
from hedge.report.ledger import exact
from hedge.report.when import stamp, when

SCHEMA = "hedge.report/1"
CENT_QUOTES = frozenset({"USDT", "USDC", "USD", "FDUSD", "TUSD", "DAI", "EUR", "GBP", "USDE"})
LABEL, VALUE, GAP = 19, 8, 6
LINES = (
    ("funding", "funding received"),
    ("basis", "basis (perp - spot)"),
    ("slippage", "slippage vs mid"),
    ("fees", "fees"),
    ("drift", "unhedged drift"),
    ("other", "rest of the account"),
)
DAY_HEADS = ("day", "funding", "basis", "slippage", "fees", "drift", "rest", "explained")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line as shown: ``value`` rounded, None where there is none."""

    key: str
    label: str
    value: Decimal | None
    detail: str


# -- numbers -------------------------------------------------------------------------------------


def decimals(quote: str) -> int:
    """Return how many decimals an amount of ``quote`` is shown with."""
    return 2 if quote in CENT_QUOTES else 8


def rounded(values: Sequence[Decimal], places: int) -> list[Decimal]:
    """Round so that the shown values add up to their rounded sum, each within one last digit."""
    step = Decimal(1).scaleb(-places)
    with exact():
        shown = [value.quantize(step, ROUND_HALF_EVEN) for value in values]
        short = sum(values, ZERO).quantize(step, ROUND_HALF_EVEN) - sum(shown, ZERO)
        by = step if short > 0 else -step
        order = sorted(range(len(values)), key=lambda at: (shown[at] - values[at]) * by)
        for at in order[: int(abs(short) / step)]:
            shown[at] += by
    return shown


def signed(value: Decimal) -> str:
    """Return ``+96.40``, ``-0.02``, and ``0.00`` without a sign."""
    return f"{value:+f}" if value else f"{abs(value):f}"


def bps(value: Decimal | None, *, sign: bool = True) -> str:
    if value is None:
        return "-"
    text = value.quantize(Decimal("0.1"))
    return f"{text:+f} bp" if sign else f"{text:f} bp"


def count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


# -- text ----------------------------------------------------------------------------------------


def lines_of(report: Report) -> list[Line]:
    """Return the table, top to bottom, with what is shown of every amount."""
    places = decimals(report.quote)
    step = Decimal(1).scaleb(-places)
    shown = rounded([getattr(report, key) for key, _ in LINES], places)
    details = _details(report)
    lines = [
        Line(key=key, label=label, value=value, detail=details[key])
        for (key, label), value in zip(LINES, shown, strict=True)
        if key != "other" or value or report.other or report.details.externals
    ]
    explained = sum(shown, ZERO)
    lines.append(Line(key="explained", label="explained", value=explained, detail=""))
    rest = report.unexplained
    if rest is None:
        why = f"not measured: {report.why}"
        equity = Line(key="equity_change", label="venue equity change", value=None, detail=why)
        return [*lines, equity, Line(key="unexplained", label="unexplained", value=None, detail="")]
    with exact():
        left = rest.quantize(step, ROUND_HALF_EVEN)
    detail = f"{report.status} (limit {report.limit:f})"
    if rest and not left:
        detail += f", exactly {plain(rest)}"
    return [
        *lines,
        Line(
            key="equity_change",
            label="venue equity change",
            value=explained + left,
            detail="as both venues state it",
        ),
        Line(key="unexplained", label="unexplained", value=left, detail=detail),
    ]


def _details(report: Report) -> dict[str, str]:
    seen = report.details
    coins = ", ".join(f"{coin.asset} {plain(coin.amount)}" for coin in seen.fee_coins)
    entry = f"entry {bps(seen.entry_basis_bps)}" if seen.entry_basis_bps is not None else ""
    leaves = f"exit {bps(seen.exit_basis_bps)}" if seen.exit_basis_bps is not None else ""
    if not leaves and seen.basis_bps is not None:
        leaves = f"now {bps(seen.basis_bps)}"
    mean = f", {bps(seen.slippage_bps, sign=False)} mean" if seen.slippage_bps is not None else ""
    worst = Decimal(seen.unhedged_worst_ms) / 1000
    external = count(len(seen.externals), "external change") if seen.externals else ""
    return {
        "funding": f"{count(seen.payments, 'payment')}, {seen.payments_negative} negative",
        "basis": ", ".join(part for part in (entry, leaves) if part),
        "slippage": f"{count(seen.fills, 'fill')}{mean}",
        "fees": f"of which {coins} (valued at fill time)" if coins else "",
        "drift": f"delta x price move, worst {worst.quantize(Decimal('0.1')):f} s",
        "other": ", ".join(part for part in ("own coins and fee coins", external) if part),
    }


def text(report: Report, *, by_day: bool = False) -> str:
    """Return the report for a terminal: plain lines, no digit cut."""
    parts = [
        (
            f"{report.name}: {report.symbol}, spot {report.spot_venue},"
            f" futures {report.futures_venue};"
            f" {when(report.begins_at)} to {when(report.ends_at)} UTC, in {report.quote}"
        ),
        "",
    ]
    lines = lines_of(report)
    shown = ["-" if line.value is None else signed(line.value) for line in lines]
    width = max(VALUE, *(len(one) + 2 for one in shown))
    for line, value in zip(lines, shown, strict=True):
        row = f"{line.label:<{LABEL}}{value:>{width}}"
        parts.append(f"{row}{' ' * GAP}{line.detail}".rstrip())
    promised = _promised(report)
    if promised:
        parts += ["", promised]
    parts += _changes(report)
    if by_day:
        parts += ["", *_day_table(report)]
    later = "" if report.later is None else _later(report.later, report.quote)
    if later:
        parts += ["", later]
    if report.alerts:
        parts += ["", *(f"ALERT {alert}" for alert in report.alerts)]
    return "\n".join(parts) + "\n"


def _promised(report: Report) -> str:
    """Return predicted, settled and received funding in one sentence."""
    detail, places = report.funding_detail, decimals(report.quote)
    if not detail.payments:
        return ""
    said = []
    if detail.predicted is not None:
        said.append(f"predicted at entry {signed(_cut(detail.predicted, places))}")
    if detail.expected is not None:
        said.append(f"at settled rates {signed(_cut(detail.expected, places))}")
    said.append(f"received {signed(_cut(report.funding, places))}")
    return f"funding: {', '.join(said)}"


def _cut(value: Decimal, places: int) -> Decimal:
    with exact():
        return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)


def _changes(report: Report) -> list[str]:
    places = decimals(report.quote)
    return [
        f"external change, row {one.seq}, {when(one.at)}: {one.leg} {signed(one.quantity)}"
        f" ({one.reason}), {signed(_cut(one.value, places))} at once"
        for one in report.details.externals
    ]


def _later(later: DayLines, quote: str) -> str:
    places = decimals(quote)
    said = ", ".join(
        f"{name} {signed(_cut(getattr(later, name), places))}"
        for name in ("funding", "basis", "slippage", "fees", "drift")
        if _cut(getattr(later, name), places)
    )
    return f"since the last measurement, not in the lines above: {said}" if said else ""


def day_cells(report: Report) -> list[list[str]]:
    """Return the days as shown, one list of cells a day."""
    places = decimals(report.quote)
    table = []
    for one in report.days:
        shown = rounded([getattr(one, key) for key, _ in LINES], places)
        table.append([one.day, *(signed(value) for value in (*shown, sum(shown, ZERO)))])
    return table


def _day_table(report: Report) -> list[str]:
    table = [list(DAY_HEADS), *day_cells(report)]
    widths = [max(len(row[at]) for row in table) for at in range(len(DAY_HEADS))]
    return [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


# -- data ----------------------------------------------------------------------------------------


def as_data(value: Any) -> Any:
    """Return plain data: amounts as strings with every digit, times as ISO strings."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        return {
            name: stamp(getattr(value, name)) if name == "at" or name.endswith("_at")
            else as_data(getattr(value, name))
            for name in names
        }  # fmt: skip
    if isinstance(value, tuple | list):
        return [as_data(one) for one in value]
    if isinstance(value, dict):
        return {str(key): as_data(one) for key, one in value.items()}
    return value


def envelope(schema: str, at: int, data: Any) -> str:
    """Return one JSON document in the form of all reading commands."""
    document = {"schema": schema, "at": stamp(at), "data": data}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def csv_text(report: Report, *, by_day: bool = False) -> str:
    """Return the lines, or the days, as CSV with every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if by_day:
        writer.writerow(DAY_HEADS)
        for one in report.days:
            values = [plain(getattr(one, key)) for key, _ in LINES]
            writer.writerow([one.day, *values, plain(one.explained)])
        return out.getvalue()
    writer.writerow(("line", "value", "detail"))
    for line in lines_of(report):
        value = getattr(report, line.key)
        writer.writerow((line.key, "" if value is None else plain(value), line.detail))
    return out.getvalue()
