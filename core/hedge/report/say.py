"""Events and commands in plain sentences."""

from hedge.decide import commands, events
from hedge.decide.rows import AnyEntry
from hedge.model import Fill
from hedge.model.numbers import plain


def sentence(entry: AnyEntry) -> str:
    """Return what an entry says; a kind without a sentence of its own gives its name."""
    match entry:
        case events.EngineStarted():
            return f"an engine started (epoch {entry.epoch})"
        case events.ActionAsked():
            return f"the start line asked for {entry.action.value}"
        case events.OperatorAsked():
            by = f" by {entry.by}" if entry.by else ""
            return f"the operator{by} asked to {entry.verb.value}{_about(entry)}"
        case events.FillSeen():
            return _fill(entry.fill)
        case events.OrderReported():
            said = entry.report
            return f"the venue says {said.status.value}, filled {plain(said.filled)}"
        case events.OrderRefused():
            text = f": {entry.text}" if entry.text else ""
            return f"refused with {entry.code}{text}"
        case events.OrderUnanswered():
            return f"no usable answer, outcome unknown{_why(entry.why)}"
        case events.CancelUnsettled():
            return f"the cancel was not settled{_why(entry.why)}"
        case events.FundingSeen():
            rate = entry.rate
            return f"funding {rate.origin.value} {plain(rate.rate)} per {rate.interval_s} s"
        case events.FundingPaid():
            paid = entry.payment
            return f"funding of {plain(paid.cash)} {paid.asset} was paid"
        case events.BalanceSeen():
            seen = entry.balance
            return f"the balance of {seen.asset} is {plain(seen.total)}"
        case events.PositionSeen():
            return f"the position is {plain(entry.position.quantity)}"
        case events.StreamChanged():
            state = "up" if entry.up else f"down{_why(entry.why)}"
            return f"the {entry.leg.value} {entry.kind.value} stream went {state}"
        case events.LegAudited():
            fills = f", {len(entry.fills)} fills" if entry.fills else ""
            return f"the {entry.leg.value} leg was read whole{fills}"
        case events.LegUnread():
            return f"the {entry.leg.value} leg could not be read{_why(entry.why)}"
        case events.IdsLeased():
            return f"order ids of the {entry.leg.value} leg were leased"
        case events.EquitySeen():
            return f"both accounts were measured ({entry.label})"
        case events.ShellAlarmed():
            return f"{entry.level}: {entry.text}"
        case events.RecordingEnded():
            return "the recorded data ended"
        case commands.CancelOrder():
            return f"cancelled{_why(entry.why)}"
        case commands.DeclareDead():
            return f"declared dead: {entry.evidence}"
        case _:
            return type(entry).__name__


def _why(why: str) -> str:
    return f": {why}" if why else ""


def _about(entry: events.OperatorAsked) -> str:
    said = [entry.subject] if entry.subject else []
    if entry.usd is not None:
        said.append(f"{plain(entry.usd)} USD")
    if entry.quantity is not None:
        said.append(plain(entry.quantity))
    return f" {' '.join(said)}" if said else ""


def _fill(fill: Fill) -> str:
    fee = f", fee {plain(fill.fee)} {fill.fee_asset}".rstrip() if fill.fee else ""
    how = "maker" if fill.maker else "taker"
    kind = "" if fill.kind.value == "trade" else f" ({fill.kind.value})"
    return (
        f"the {fill.leg.value} leg {'bought' if fill.signed_quantity > 0 else 'sold'}"
        f" {plain(fill.quantity)} at {plain(fill.price)}{kind}, {how}{fee}"
    )
