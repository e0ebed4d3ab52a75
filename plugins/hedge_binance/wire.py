"""The payloads as they come: typed structs with the venue's one-letter names spelled out.

Sources: ``user-data-stream.md``, ``web-socket-api.md`` and ``rest-api.md`` of the official Spot
documentation; "User Data Streams" and "Market Streams" of the official USD-M documentation.
Unknown fields are ignored, missing or mistyped ones are a `Malformed` payload.
"""

from decimal import Decimal

import msgspec

from hedge.model.numbers import ZERO

Level = tuple[Decimal, Decimal]
"""Price and quantity."""


class ExecutionReport(
    msgspec.Struct,
    frozen=True,
    tag_field="e",
    tag="executionReport",
    rename={
        "native": "s", "client_id": "c", "original_id": "C", "side": "S", "quantity": "q",
        "price": "p", "execution": "x", "status": "X", "order_id": "i", "last_quantity": "l",
        "filled": "z", "last_price": "L", "fee": "n", "fee_asset": "N", "at": "T",
        "trade_id": "t", "maker": "m",
    },
):  # fmt: skip
    """Spot: one order's news. In a cancel ``c`` names the cancel, and ``C`` the order."""

    native: str
    client_id: str
    side: str
    quantity: Decimal
    price: Decimal
    execution: str
    status: str
    order_id: int
    last_quantity: Decimal
    filled: Decimal
    last_price: Decimal
    at: int
    trade_id: int = -1
    fee: Decimal | None = None
    fee_asset: str | None = None
    maker: bool = False
    original_id: str = ""


class WalletRow(msgspec.Struct, frozen=True, rename={"asset": "a", "free": "f", "locked": "l"}):
    asset: str
    free: Decimal
    locked: Decimal


class AccountPosition(
    msgspec.Struct,
    frozen=True,
    tag_field="e",
    tag="outboundAccountPosition",
    rename={"at": "u", "rows": "B"},
):
    """Spot: the assets that an event may have changed, whole."""

    at: int
    rows: list[WalletRow]


class StreamTerminated(msgspec.Struct, frozen=True, tag_field="e", tag="eventStreamTerminated"):
    """Spot: this subscription tells nothing more."""


class ServerShutdown(msgspec.Struct, frozen=True, tag_field="e", tag="serverShutdown"):
    """The server leaves soon; connect elsewhere."""


class OrderNews(
    msgspec.Struct,
    frozen=True,
    rename={
        "native": "s", "client_id": "c", "side": "S", "quantity": "q", "price": "p",
        "execution": "x", "status": "X", "order_id": "i", "last_quantity": "l", "filled": "z",
        "last_price": "L", "fee": "n", "fee_asset": "N", "at": "T", "trade_id": "t", "maker": "m",
        "reduce_only": "R",
    },
):  # fmt: skip
    native: str
    client_id: str
    side: str
    quantity: Decimal
    price: Decimal
    execution: str
    status: str
    order_id: int
    last_quantity: Decimal
    filled: Decimal
    last_price: Decimal
    at: int
    trade_id: int = 0
    fee: Decimal | None = None
    fee_asset: str | None = None
    maker: bool = False
    reduce_only: bool | None = None


class OrderTradeUpdate(
    msgspec.Struct, frozen=True, tag_field="e", tag="ORDER_TRADE_UPDATE", rename={"order": "o"}
):
    """USD-M: one order's news."""

    order: OrderNews


class TradeLite(
    msgspec.Struct,
    frozen=True,
    tag_field="e",
    tag="TRADE_LITE",
    rename={
        "native": "s", "client_id": "c", "side": "S", "quantity": "q", "order_id": "i",
        "last_quantity": "l", "at": "T", "trade_id": "t",
    },
):  # fmt: skip
    """USD-M: an execution of ours, early: without its fee and without the cumulative quantity."""

    native: str
    client_id: str
    side: str
    quantity: Decimal
    order_id: int
    last_quantity: Decimal
    at: int
    trade_id: int


class PositionRow(
    msgspec.Struct,
    frozen=True,
    rename={"native": "s", "quantity": "pa", "entry_price": "ep", "side": "ps"},
):
    native: str
    quantity: Decimal
    entry_price: Decimal = ZERO
    side: str = "BOTH"


class MoneyRow(msgspec.Struct, frozen=True, rename={"asset": "a", "wallet": "wb", "change": "bc"}):
    asset: str
    wallet: Decimal
    change: Decimal = ZERO


class AccountNews(
    msgspec.Struct, frozen=True, rename={"reason": "m", "money": "B", "positions": "P"}
):
    reason: str
    money: list[MoneyRow] = []
    positions: list[PositionRow] = []


class AccountUpdate(
    msgspec.Struct,
    frozen=True,
    tag_field="e",
    tag="ACCOUNT_UPDATE",
    rename={"at": "T", "account": "a"},
):
    """USD-M: what an order, a transfer or a settlement changed."""

    at: int
    account: AccountNews


class ListenKeyExpired(msgspec.Struct, frozen=True, tag_field="e", tag="listenKeyExpired"):
    """USD-M: nothing more comes on this key: a gap."""


SpotEvent = ExecutionReport | AccountPosition | StreamTerminated | ServerShutdown
FuturesEvent = OrderTradeUpdate | TradeLite | AccountUpdate | ListenKeyExpired | ServerShutdown
HEARD_ONLY = frozenset(
    {
        "balanceUpdate", "listStatus", "externalLockUpdate",
        "MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE", "ALGO_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "STRATEGY_UPDATE", "GRID_UPDATE",
    }
)  # fmt: skip
"""Events that say nothing which the audits and the events above do not say."""


class Fault(msgspec.Struct, frozen=True):
    """The error of a WebSocket API response."""

    code: int = 0
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


class ApiFrame(msgspec.Struct, frozen=True):
    """Anything a WebSocket API connection says: a response (``id``), or a user event."""

    id: str | int | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw()
    error: Fault | None = None
    event: msgspec.Raw = msgspec.Raw()


class SpotNews(msgspec.Struct, frozen=True):
    """A frame of the spot connection with an event that we know."""

    event: SpotEvent


class StreamFrame(msgspec.Struct, frozen=True):
    """Anything a combined stream says: an event of a stream, or a response (``id``)."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    id: int | None = None
    error: Fault | None = None
    e: str = ""
    """Of an event that stands outside any stream."""


class Named(msgspec.Struct, frozen=True):
    """The name of an event that none of the structs above is."""

    e: str = ""


class BookTicker(msgspec.Struct, frozen=True, rename={"native": "s", "bid": "b", "ask": "a"}):
    native: str
    bid: Decimal
    ask: Decimal


class SpotDepth(msgspec.Struct, frozen=True):
    """Partial depth of spot: it names no symbol, only its stream does."""

    bids: list[Level]
    asks: list[Level]


class FuturesDepth(msgspec.Struct, frozen=True, rename={"bids": "b", "asks": "a"}):
    bids: list[Level]
    asks: list[Level]


class MarkPrice(
    msgspec.Struct,
    frozen=True,
    rename={"native": "s", "mark": "p", "index": "i", "rate": "r", "next_at": "T", "at": "E"},
):
    native: str
    mark: Decimal
    index: Decimal
    next_at: int
    at: int
    rate: str = ""
    """Empty for what has no funding (a delivery contract)."""


class OrderRow(msgspec.Struct, frozen=True, rename="camel"):
    """An order in an answer: placed, cancelled, asked for, or open; spot and USD-M."""

    symbol: str
    order_id: int
    client_order_id: str
    orig_client_order_id: str = ""
    status: str = "NEW"
    side: str = ""
    price: Decimal | None = None
    orig_qty: Decimal | None = None
    executed_qty: Decimal = ZERO
    reduce_only: bool | None = None
    transact_time: int = 0
    update_time: int = 0
    time: int = 0


class SpotTrade(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``myTrades``."""

    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class FuturesTrade(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``userTrades``."""

    id: int
    order_id: int
    side: str
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    maker: bool = False


class SpotBalance(msgspec.Struct, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal = ZERO


class SpotAccount(msgspec.Struct, frozen=True, rename="camel"):
    balances: list[SpotBalance]
    update_time: int = 0


class FuturesBalance(msgspec.Struct, frozen=True, rename="camel"):
    asset: str
    balance: Decimal
    update_time: int = 0


class FuturesAsset(msgspec.Struct, frozen=True, rename="camel"):
    asset: str
    wallet_balance: Decimal
    margin_balance: Decimal
    maint_margin: Decimal
    available_balance: Decimal


class CanTrade(msgspec.Struct, frozen=True, rename="camel"):
    can_trade: bool


class FuturesAccount(msgspec.Struct, frozen=True, rename="camel"):
    assets: list[FuturesAsset]


class PositionRisk(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``positionRisk`` (v3: only symbols with a position or an open order)."""

    symbol: str
    position_amt: Decimal
    entry_price: Decimal = ZERO
    liquidation_price: Decimal = ZERO
    position_side: str = "BOTH"
    adl: int | None = None
    update_time: int = 0


class SymbolConfig(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str
    leverage: int
    margin_type: str = ""


class DualSide(msgspec.Struct, frozen=True, rename="camel"):
    dual_side_position: bool


class Leverage(msgspec.Struct, frozen=True):
    leverage: int


class Premium(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``premiumIndex``; ``last_funding_rate`` is the estimate of the next settlement."""

    symbol: str
    mark_price: Decimal
    index_price: Decimal
    next_funding_time: int
    time: int
    last_funding_rate: str = ""


class FundingInfo(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``fundingInfo``: only symbols whose cap or interval was adjusted; absent is 8 h."""

    symbol: str
    funding_interval_hours: int = 8


class SettledRate(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``fundingRate``."""

    symbol: str
    funding_time: int
    funding_rate: Decimal
    mark_price: str = ""


class Income(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``income``."""

    symbol: str
    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int | str


class Commission(msgspec.Struct, frozen=True):
    maker: Decimal = ZERO
    taker: Decimal = ZERO
    buyer: Decimal = ZERO
    seller: Decimal = ZERO


class Discount(msgspec.Struct, frozen=True, rename="camel"):
    enabled_for_account: bool = False
    enabled_for_symbol: bool = False
    discount_asset: str | None = None


class SpotFees(msgspec.Struct, frozen=True, rename="camel"):
    standard_commission: Commission
    special_commission: Commission = Commission()
    tax_commission: Commission = Commission()
    discount: Discount = Discount()


class FuturesFees(msgspec.Struct, frozen=True, rename="camel"):
    maker_commission_rate: Decimal
    taker_commission_rate: Decimal


class KeyRestrictions(msgspec.Struct, frozen=True, rename="camel"):  # of ``apiRestrictions``
    ip_restrict: bool = False
    enable_withdrawals: bool = False
    enable_internal_transfer: bool = False
    permits_universal_transfer: bool = False
    enable_spot_and_margin_trading: bool = False
    enable_futures: bool = False
    trading_authority_expiration_time: int = 0


class ServerTime(msgspec.Struct, frozen=True, rename="camel"):
    server_time: int


class ListenKey(msgspec.Struct, frozen=True, rename="camel"):
    listen_key: str


class Price(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``ticker/bookTicker``."""

    symbol: str
    bid_price: Decimal
    ask_price: Decimal


class Filter(msgspec.Struct, frozen=True, rename="camel"):
    """Any filter; what a filter lacks is zero, and zero switches that part off."""

    filter_type: str
    tick_size: Decimal = ZERO
    step_size: Decimal = ZERO
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    min_notional: Decimal = ZERO
    notional: Decimal = ZERO


class SymbolRow(msgspec.Struct, frozen=True, rename="camel"):
    """A row of ``exchangeInfo``; spot and USD-M."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[Filter]
    margin_asset: str = ""
    contract_type: str = ""
    delivery_date: int = 0
    quote_precision: int = 8
    base_asset_precision: int = 8


class ExchangeInfo(msgspec.Struct, frozen=True, rename="camel"):
    symbols: list[SymbolRow]


class RawInfo(msgspec.Struct, frozen=True):
    """``exchangeInfo`` of which one row is wanted: the others are not read."""

    symbols: list[msgspec.Raw]


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an HTTP error."""

    code: int = 0
    msg: str = ""
