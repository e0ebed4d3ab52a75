"""What a profile says of one venue: names, codes, and where it differs from ccxt's common form."""

from collections.abc import Mapping
from typing import Any

import msgspec

from hedge.roles import Can
from hedge_ccxt.errors import Codes
from hedge_ccxt.order_ids import IdStyle
from hedge_ccxt.parse import Profits

STREAMED = Can.USER_STREAM


class Lookup(msgspec.Struct, frozen=True):
    """One method of ccxt that finds an order by our id; a list's rows are searched."""

    method: str
    is_list: bool = False


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """One raw question about the key; a right is held when any of its words stands at its path."""

    method: str
    path: str
    spot: tuple[str, ...]
    """Words of a right to trade spot."""
    futures: tuple[str, ...]
    withdraw: tuple[str, ...]
    ip: str = ""
    read_only: str = ""
    """Path of what is true, or 1, of a key that may change nothing, whatever else it says."""
    ends: str = ""
    """Path of when the key ends, in ms or as a date; empty where the venue does not say."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue differs; the defaults are those of a venue that nobody has described."""

    name: str
    title: str = ""
    secrets: tuple[str, ...] = ("api_key", "api_secret")
    """What the venue's keys consist of: what ccxt asks for in ``requiredCredentials``."""
    spot: str = ""
    """ccxt's class for the spot leg; empty: ``name``."""
    futures: str = ""
    can: Can = Can.NONE
    codes: Codes = Codes()
    ids: IdStyle = IdStyle.PLAIN
    id_param: str = "clientOrderId"
    """The parameter that an order is asked for by; empty: our id takes the place of the venue's."""
    lookups: tuple[Lookup, ...] = (Lookup("fetch_order"),)
    asks_first: tuple[str, ...] = ()
    """Methods of ccxt that it would call before the first order, and whose answer it keeps."""
    lists_all: Mapping[str, tuple[str, str]] = {}
    """Path -> parameter and value that ccxt asks with, and that keep executions from us."""
    trades_named: bool = True
    """Executions carry the id of ours; else the order of each is asked for it, once."""
    options: Mapping[str, Any] = {}
    """Of ccxt's instance; ``recvWindow`` is filled in where it stands."""
    recv_window_ms: int = 0
    """The venue's own, where ccxt cannot choose; 0: ours is sent."""
    trades_window_h: int = 24
    """The longest stretch of own trades that one request may ask for."""
    page: int = 50
    marks: str = "fetch_funding_rate"
    """A method of ccxt whose answer has markPrice; ``watch_...`` is streamed."""
    mode_from: str = "positions"
    """fetch_position_mode, positions, or one_way where there is nothing else."""
    sets_margin_mode: bool = False
    """The margin mode is a setting of the symbol, apart from the leverage."""
    leverage_params: Mapping[str, str] = {}
    order_params: Mapping[str, str] = {}
    """With each futures order; ``{mode}`` and ``{MODE}`` are the margin mode."""
    leverage_from: str = "fetch_leverage"
    """fetch_leverage, positions, or a raw method of ccxt (Hyperliquid)."""
    profits: Profits | None = None
    """Of venues whose ``total`` counts unrealised profit: cash is what is left without it."""
    interval_default_h: int = 0
    """The funding interval of an instrument of which the venue says none."""
    pays_positive: bool = False
    """What ccxt calls the amount of a settlement is a fee: positive is paid (Bybit)."""
    paid_on: str = ""
    """Where the venue's own row of a settlement says the position's size, as ``a.b``."""
    silenced: tuple[str, ...] = ()
    """Methods of ccxt that act in its own interest: here they do nothing."""
    rights: Rights | None = None
    local: Mapping[str, Mapping[str, str]] = {}
    """Leg -> path in ccxt's ``urls.api`` -> address of a wire simulator."""
