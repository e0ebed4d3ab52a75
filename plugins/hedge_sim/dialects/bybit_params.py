"""What a client asks for, read from Bybit's parameters and refused in Bybit's words."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from hedge.model import Side
from hedge_sim.dialects.bybit_errors import INVERSE, LINEAR, OPTION, SPOT, Rejection, bad_param

CATEGORIES: Final = (SPOT, LINEAR)
"""What this venue trades; of the other two it knows that they exist."""
LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
"""orderLinkId: at most 36 letters, digits, dashes and underscores (docs/v5/order/create-order)."""
LIMIT: Final = "Limit"
MARKET: Final = "Market"
GTC: Final = "GTC"
IOC: Final = "IOC"
FOK: Final = "FOK"
POST_ONLY: Final = "PostOnly"
WHOLE_MAX: Final = 12
PLACES_MAX: Final = 16
"""Digits before and after the point that a number may have."""
_SIDES: Final = {"Buy": Side.BUY, "Sell": Side.SELL}
_UNSUPPORTED: Final = ("triggerPrice", "takeProfit", "stopLoss", "orderIv", "activePrice")

Params = Mapping[str, Any]


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """One ``order.create``: ``quantity`` in base, or in quote where ``in_quote``."""

    category: str
    symbol: str
    side: Side
    order_type: str
    time_in_force: str
    quantity: Decimal
    in_quote: bool = False
    price: Decimal | None = None
    slippage: tuple[str, Decimal] | None = None
    """``TickSize`` or ``Percent`` with its value; market orders only."""
    reduce_only: bool = False
    position_idx: int = 0
    order_link_id: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One ``order.amend``: None is what stays."""

    quantity: Decimal | None = None
    price: Decimal | None = None


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """An order by its id or the caller's own; the id has priority where both are given."""

    category: str
    symbol: str
    order_id: str = ""
    order_link_id: str = ""


def text_of(params: Params, name: str) -> str:
    """Return a parameter as text, "" where it is absent or null."""
    value = params.get(name)
    return "" if value is None else str(value)


def number_of(params: Params, name: str) -> Decimal | None:
    """Return a parameter as an exact number, None where it is absent; raise 10001."""
    text = text_of(params, name)
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise bad_param(f"{name} invalid") from None
    if not value.is_finite() or value.adjusted() >= WHOLE_MAX or _places(value) > PLACES_MAX:
        raise bad_param(f"{name} invalid")
    return value


def _places(value: Decimal) -> int:
    return -int(value.as_tuple().exponent)


def whole_of(params: Params, name: str, default: int) -> int:
    """Return a whole parameter; raise 10001."""
    text = text_of(params, name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise bad_param(f"{name} invalid") from None


def flag_of(params: Params, name: str) -> bool:
    return text_of(params, name).lower() in {"true", "1"}


def limit_of(params: Params, default: int, most: int) -> int:
    """Return the page size, which the venue cuts to its maximum rather than refuse."""
    return max(1, min(whole_of(params, "limit", default), most))


def category_of(params: Params) -> str:
    """Return any category the venue knows; raise 10001 for another word."""
    category = text_of(params, "category")
    if category not in {SPOT, LINEAR, INVERSE, OPTION}:
        raise Rejection(10001, "Illegal category")
    return category


def traded_category_of(params: Params) -> str:
    """Return a category in which orders are taken here."""
    category = category_of(params)
    if category not in CATEGORIES:
        raise Rejection(10001, f"category {category} is not traded by this account")
    return category


def which_of(params: Params, category: str) -> Which:
    """Read which order is meant; raise 10001 when none is named."""
    which = Which(
        category=category,
        symbol=text_of(params, "symbol"),
        order_id=text_of(params, "orderId"),
        order_link_id=text_of(params, "orderLinkId"),
    )
    if not which.order_id and not which.order_link_id:
        raise bad_param("orderId or orderLinkId is required")
    return which


def change_of(params: Params) -> Change:
    """Read an amendment; raise 10001 when it changes nothing."""
    change = Change(quantity=number_of(params, "qty"), price=number_of(params, "price"))
    if change.quantity is None and change.price is None:
        raise Rejection(10001, "order not modified")
    return change


def ticket_of(params: Params, category: str) -> Ticket:
    """Read an order; raise `Rejection` for whatever its parameters lack or contradict."""
    symbol = text_of(params, "symbol")
    if not symbol:
        raise bad_param("symbol is empty")
    for name in _UNSUPPORTED:
        if text_of(params, name) not in {"", "0"}:
            raise bad_param(f"{name} is not supported by this venue")
    side = _SIDES.get(text_of(params, "side"))
    if side is None:
        raise Rejection(170117, "Invalid side.") if category == SPOT else bad_param("side invalid")
    order_type = text_of(params, "orderType")
    if order_type not in {LIMIT, MARKET}:
        raise _wrong(category, 170116, "Invalid orderType.")
    return Ticket(
        category=category,
        symbol=symbol,
        side=side,
        order_type=order_type,
        time_in_force=_time_in_force(params, category, order_type),
        quantity=_quantity(params, category),
        in_quote=_in_quote(params, category, side, order_type),
        price=_price(params, category, order_type),
        slippage=_slippage(params, order_type),
        reduce_only=_reduce_only(params, category),
        position_idx=whole_of(params, "positionIdx", 0),
        order_link_id=_link_id(params),
    )


def _wrong(category: str, spot_code: int, words: str) -> Rejection:
    return Rejection(spot_code, words) if category == SPOT else Rejection(10001, words)


def _time_in_force(params: Params, category: str, order_type: str) -> str:
    word = text_of(params, "timeInForce") or GTC
    if word not in {GTC, IOC, FOK, POST_ONLY}:
        raise _wrong(category, 170115, "Invalid timeInForce.")
    if order_type == MARKET:
        return FOK if word == FOK else IOC
    return word


def _quantity(params: Params, category: str) -> Decimal:
    quantity = number_of(params, "qty")
    if quantity is None or quantity <= 0:
        raise _wrong(category, 170130, "Data sent for parameter 'qty' is not valid.")
    return quantity


def _in_quote(params: Params, category: str, side: Side, order_type: str) -> bool:
    """A spot market buy is by value unless ``marketUnit`` says otherwise."""
    if category != SPOT or order_type != MARKET:
        return False
    unit = text_of(params, "marketUnit")
    if unit not in {"", "baseCoin", "quoteCoin"}:
        raise Rejection(170130, "Data sent for parameter 'marketUnit' is not valid.")
    return unit == "quoteCoin" or (not unit and side is Side.BUY)


def _price(params: Params, category: str, order_type: str) -> Decimal | None:
    if order_type == MARKET:
        return None
    price = number_of(params, "price")
    if price is None or price <= 0:
        raise _wrong(category, 170130, "Data sent for parameter 'price' is not valid.")
    return price


def _slippage(params: Params, order_type: str) -> tuple[str, Decimal] | None:
    kind, value = text_of(params, "slippageToleranceType"), number_of(params, "slippageTolerance")
    if order_type != MARKET or not kind or value is None:
        return None
    least, most = (5, 2000) if kind == "TickSize" else (Decimal("0.05"), 1)
    if kind not in {"TickSize", "Percent"} or not least <= value <= most:
        raise bad_param("slippageTolerance invalid")
    return kind, value


def _reduce_only(params: Params, category: str) -> bool:
    """The flag of a spot order is not read (docs: valid for linear, inverse and option)."""
    return category == LINEAR and flag_of(params, "reduceOnly")


def _link_id(params: Params) -> str:
    link_id = text_of(params, "orderLinkId")
    if link_id and not LINK_ID.fullmatch(link_id):
        if len(link_id) > 36:  # noqa: PLR2004 - letters, by the venue's rule
            raise bad_param("order link id is longer than 36")
        raise bad_param("orderLinkId invalid")
    return link_id
