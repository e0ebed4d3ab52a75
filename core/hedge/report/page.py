"""A report as one HTML page that needs nothing else: no script, no font, no address."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from hedge.model.numbers import plain
from hedge.report.attribution import Report
from hedge.report.render import DAY_HEADS, day_cells, lines_of, signed
from hedge.report.when import when

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}
td,th{padding:.2rem .8rem .2rem 0;text-align:right;font-variant-numeric:tabular-nums}
td:first-child,th:first-child,td.say{text-align:left}
tr.sum td{border-top:1px solid #888;font-weight:600}
.ok{color:#176b2c}.degraded,.incomplete,.alert{color:#b3261e}
.scroll{overflow-x:auto}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}.ok{color:#7bd88f}
.degraded,.incomplete,.alert{color:#ff8a80}}
""".strip()
SUMS = frozenset({"explained", "unexplained"})


def html(report: Report) -> str:
    """Return the whole page."""
    title = escape(f"{report.name}: profit and loss")
    where = escape(
        f"{report.symbol}, spot {report.spot_venue}, futures {report.futures_venue};"
        f" {when(report.begins_at)} to {when(report.ends_at)} UTC, in {report.quote}"
    )
    body = [f"<h1>{title}</h1>", f"<p>{where}</p>", _lines(report)]
    if report.alerts:
        items = "".join(f"<li>{escape(one)}</li>" for one in report.alerts)
        body.append(f'<h2>Alerts</h2><ul class="alert">{items}</ul>')
    body.append("<h2>By day</h2>" + _table(DAY_HEADS, day_cells(report)))
    body.append("<h2>Funding payments</h2>" + _payments(report))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


def _lines(report: Report) -> str:
    rows = []
    for line in lines_of(report):
        value = "-" if line.value is None else signed(line.value)
        look = "sum" if line.key in SUMS else ""
        mark = escape(report.status) if line.key == "unexplained" else ""
        rows.append(
            f'<tr class="{look}"><td>{escape(line.label)}</td><td class="{mark}">{value}</td>'
            f'<td class="say">{escape(line.detail)}</td></tr>'
        )
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _payments(report: Report) -> str:
    heads = ("settled", "hours", "position", "predicted", "settled rate", "expected", "cash")
    cells = [
        [
            when(one.settled_at),
            plain(Decimal(one.interval_s) / 3600),
            plain(one.quantity),
            _or_dash(one.predicted_rate),
            plain(one.settled_rate),
            _or_dash(one.expected),
            f"{plain(one.cash)} {one.asset}",
        ]
        for one in report.funding_detail.payments
    ]
    return _table(heads, cells)


def _or_dash(value: Decimal | None) -> str:
    return "-" if value is None else plain(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
