"""The nouns: frozen, exact, and without a clock."""

from hedge.model.fill import Fill, FillKind
from hedge.model.funding import FundingPayment, FundingRate, RateOrigin
from hedge.model.instrument import Instrument, InstrumentKind, InstrumentStatus, same_coin
from hedge.model.inventory import Balance
from hedge.model.order import LEGS, Leg, Order, OrderReport, ReportedStatus, Side, TimeInForce
from hedge.model.position import Position, PositionMode
from hedge.model.quote import Mark, Quote
from hedge.model.stream import StreamAlive, StreamDown, StreamKind, StreamUp

__all__ = [
    "LEGS",
    "Balance",
    "Fill",
    "FillKind",
    "FundingPayment",
    "FundingRate",
    "Instrument",
    "InstrumentKind",
    "InstrumentStatus",
    "Leg",
    "Mark",
    "Order",
    "OrderReport",
    "Position",
    "PositionMode",
    "Quote",
    "RateOrigin",
    "ReportedStatus",
    "Side",
    "StreamAlive",
    "StreamDown",
    "StreamKind",
    "StreamUp",
    "TimeInForce",
    "same_coin",
]
