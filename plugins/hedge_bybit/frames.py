"""The messages of Bybit's WebSockets as typed structs: the fields that are used, and no others.

Numbers come as strings, and the empty string (or null) where there is none: they stay text until
`hedge_bybit.parse` looks at them, so that an odd row does not take its neighbours with it. Sources:
Bybit docs/v5/websocket/{private,public,trade}.
"""

from decimal import Decimal
from typing import Any

import msgspec

Text = str | None
"""A number of the venue's, or its absence."""
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What a decoder raises: no JSON, another shape, and a text that is no UTF-8."""


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A piece of a message: camelCase on the wire."""


class ExtraFee(Row, frozen=True, kw_only=True):
    """A tax of some countries, charged beside the fee."""

    fee_coin: str = ""
    fee: str = ""


class ExecutionRow(Row, frozen=True, kw_only=True):
    """One execution of topics ``execution`` and ``execution.fast``, and of /v5/execution/list."""

    symbol: str
    category: str = ""
    order_id: str
    order_link_id: str = ""
    side: str
    exec_id: str
    exec_price: Text = ""
    exec_qty: Text = ""
    exec_type: str = "Trade"
    exec_time: str
    exec_fee: Text = ""
    exec_value: Text = ""
    fee_rate: Text = ""
    fee_currency: Text = ""
    is_maker: bool = False
    create_type: str = ""
    extra_fees: list[ExtraFee] | str | None = None


class OrderRow(Row, frozen=True, kw_only=True):
    """One order of topic ``order``, and of /v5/order/realtime and /v5/order/history."""

    symbol: str
    category: str = ""
    order_id: str
    order_link_id: str = ""
    side: str
    order_status: str
    qty: str
    price: Text = ""
    cum_exec_qty: Text = ""
    reduce_only: bool = False
    updated_time: str = ""


class PositionRow(Row, frozen=True, kw_only=True):
    """One position of topic ``position``, and of /v5/position/list (there it is ``avgPrice``)."""

    symbol: str
    category: str = ""
    position_idx: int
    side: str
    size: str
    entry_price: Text = ""
    avg_price: Text = ""
    liq_price: Text = ""
    leverage: Text = ""
    adl_rank_indicator: int = 0
    updated_time: str = ""


class CoinRow(Row, frozen=True, kw_only=True):
    """One coin of a wallet."""

    coin: str
    wallet_balance: Text = ""
    locked: Text = ""
    spot_borrow: Text = ""
    total_order_im: Text = msgspec.field(name="totalOrderIM", default="")
    total_position_im: Text = msgspec.field(name="totalPositionIM", default="")


class WalletRow(Row, frozen=True, kw_only=True):
    """The account of topic ``wallet``, and of /v5/account/wallet-balance."""

    account_type: str = "UNIFIED"
    account_mm_rate: Text = msgspec.field(name="accountMMRate", default="")
    total_available_balance: Text = ""
    coin: list[CoinRow]


class PrivateFrame(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="topic"):
    """A message of the private stream; ``topic`` says which."""


class OrderFrame(PrivateFrame, frozen=True, kw_only=True, tag="order"):
    data: list[OrderRow]


class ExecutionFrame(PrivateFrame, frozen=True, kw_only=True, tag="execution"):
    data: list[ExecutionRow]


class FastFrame(PrivateFrame, frozen=True, kw_only=True, tag="execution.fast"):
    data: list[ExecutionRow]


class PositionFrame(PrivateFrame, frozen=True, kw_only=True, tag="position"):
    data: list[PositionRow]


class WalletFrame(PrivateFrame, frozen=True, kw_only=True, tag="wallet"):
    creation_time: int = msgspec.field(name="creationTime", default=0)
    data: list[WalletRow]


AnyPrivate = OrderFrame | ExecutionFrame | FastFrame | PositionFrame | WalletFrame


class StreamReply(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An answer on a private or public stream: to auth, subscribe or ping."""

    op: str
    success: bool = True
    ret_msg: str = ""
    ret_code: int = msgspec.field(name="retCode", default=0)
    req_id: str = ""


Level = tuple[Decimal, Decimal]
"""Price and quantity; a quantity of zero takes the level away."""


class PublicData(Row, frozen=True, kw_only=True):
    """Of ``orderbook.N.SYMBOL`` (s, b, a) and of ``tickers.SYMBOL`` (the others).

    After a ticker's first message only what has changed is there.
    """

    s: str = ""
    b: list[Level] = []
    a: list[Level] = []
    symbol: str = ""
    mark_price: Text = None
    index_price: Text = None
    funding_rate: Text = None
    next_funding_time: Text = None
    funding_interval_hour: Text = None


class PublicFrame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message of a public stream."""

    topic: str
    type: str = "snapshot"
    ts: int = 0
    data: PublicData


class TradeReply(Row, frozen=True, kw_only=True):
    """An answer of the WebSocket order entry; code 0 means accepted, not executed."""

    req_id: str = ""
    ret_code: int = 0
    ret_msg: str = ""
    op: str = ""
    data: Any = None
    header: dict[str, Any] = {}


class RestReply(Row, frozen=True, kw_only=True):
    """An answer of REST; ``time`` is the venue's, ms."""

    ret_code: int
    ret_msg: str = ""
    result: Any = None
    time: int = 0


PRIVATE = msgspec.json.Decoder(AnyPrivate)
STREAM_REPLY = msgspec.json.Decoder(StreamReply)
PUBLIC = msgspec.json.Decoder(PublicFrame)
TRADE_REPLY = msgspec.json.Decoder(TradeReply)
REST_REPLY = msgspec.json.Decoder(RestReply)
