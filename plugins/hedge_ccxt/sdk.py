"""One instance of ccxt.pro: exact numbers, the venue's time, and a note of what left and came.

``number = Decimal`` is what ccxt turns a venue's text into; but its ``safe_string`` knows str, int
and float only, and drops a `Decimal` it made itself (a contract size, a step), so that the same
reading is done here for all three. ccxt sets flags of the decimal context too: see `exact`.
"""

import asyncio
import contextlib
import contextvars
import decimal
import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec

from hedge.errors import ConfigError, PluginError
from hedge.roles import VenueContext
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.profiles.profile import Profile

SPOT, FUTURES = "spot", "futures"
TYPES = {SPOT: "spot", FUTURES: "swap"}
LINEAR = {SPOT: "spot", FUTURES: "linear"}
CACHE = 200
"""Trades, orders and the like that ccxt keeps of one kind; it goes through all for each update."""
KEEP_ALIVE_S = 300
CLOSE_S = 3
RETRY_MAX_S = 3 * 86_400
"""The longest ban of Binance's."""
WRITES = frozenset({"POST", "PUT", "DELETE", "PATCH"})
FAULTS = (
    OSError,
    TimeoutError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
"""What ccxt raises beside its own errors for an answer that it did not expect."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
QUIET = logging.Logger("ccxt", logging.ERROR)  # noqa: LOG001 - of no tree: no level makes it talk
"""ccxt logs each request whole, with its key; nobody hears it here."""


class Note(msgspec.Struct):
    """What is known of one call while it is under way."""

    stamp_ms: int = 0
    """The time to sign with; 0: now."""
    sent: bool = False
    status: int = 0
    retry_after_s: int = 0


NOTE: contextvars.ContextVar[Note | None] = contextvars.ContextVar("hedge_ccxt_note", default=None)


@contextlib.contextmanager
def noting(note: Note) -> Iterator[Note]:
    """Have what happens in the block written into ``note``."""
    token = NOTE.set(note)
    try:
        yield note
    finally:
        NOTE.reset(token)


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Keep ccxt's changes of rounding and traps out of everybody else's arithmetic."""
    with decimal.localcontext():
        yield


def plain_text(container: Any, key: Any) -> str | None:
    """Return a number or a text as ccxt's ``safe_string`` does, a `Decimal` too."""
    try:
        value = container[key]
    except (LookupError, TypeError):
        return None
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str):
        return value or None
    return str(value) if type(value) in (int, float) else None


def safe_string(container: Any, key: Any, default: Any = None) -> Any:
    found = plain_text(container, key)
    return default if found is None else found


def safe_string_2(container: Any, one: Any, other: Any, default: Any = None) -> Any:
    return safe_string_n(container, (one, other), default)


def safe_string_n(container: Any, keys: Any, default: Any = None) -> Any:
    found = (plain_text(container, key) for key in keys)
    return next((text for text in found if text is not None), default)


def pro() -> Any:
    """Return ``ccxt.pro``: 0.7 s and 100 MB, so nobody imports it by accident."""
    return importlib.import_module("ccxt.pro")


def base_error() -> type[Exception]:
    found: type[Exception] = importlib.import_module("ccxt.base.errors").BaseError
    return found


def class_of(name: str, now_ms: Callable[[], int], profile: Profile) -> Any:
    """Return ccxt's class with our numbers, the venue's time and our notes."""
    base = getattr(pro(), name, None)
    if base is None or name not in pro().exchanges:
        raise PluginError(f"ccxt:{name}: ccxt.pro has no such venue (or no streams for it)")

    def milliseconds(_: Any) -> int:
        note = NOTE.get()
        return note.stamp_ms if note is not None and note.stamp_ms else now_ms()

    async def fetch(
        self: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        note = NOTE.get()
        if note is not None:
            note.status = note.retry_after_s = 0
            note.sent |= method in WRITES
        return await base.fetch(self, url, method, headers, body)

    def on_rest_response(self: Any, code: int, *given: Any) -> Any:
        note = NOTE.get()
        if note is not None:
            *_, headers, _, _, _ = given
            wait_s = str(headers.get("Retry-After", ""))
            note.status = code
            note.retry_after_s = min(int(wait_s), RETRY_MAX_S) if wait_s.isdecimal() else 0
        return base.on_rest_response(self, code, *given)

    def sign(self: Any, path: str, api: Any = "public", method: str = "GET",
             params: Mapping[str, Any] = NOTHING, *given: Any) -> Any:  # fmt: skip
        if path in profile.lists_all:
            name, value = profile.lists_all[path]
            params = {key: params[key] for key in params if (key, params[key]) != (name, value)}
        return base.sign(self, path, api, method, params, *given)

    async def nothing(_: Any, *__: Any) -> bool:
        return False

    ours: dict[str, Any] = {
        "number": Decimal,
        "milliseconds": milliseconds,
        "logger": QUIET,
        "fetch": fetch,
        "sign": sign,
        "on_rest_response": on_rest_response,
        "safe_string": staticmethod(safe_string),
        "safe_string_2": staticmethod(safe_string_2),
        "safe_string_n": staticmethod(safe_string_n),
    }
    return type(name, (base,), ours | dict.fromkeys(profile.silenced, nothing))


def make_exchange(
    profile: Profile, leg: str, context: VenueContext, now_ms: Callable[[], int]
) -> Any:
    """Return an instance for one leg, not opened; raise `ConfigError` for what it cannot do."""
    settings: CcxtSettings = context.settings
    name = (profile.futures if leg == FUTURES else "") or profile.spot or profile.name
    options: dict[str, Any] = {
        "defaultType": TYPES[leg],
        "fetchMarkets": {"types": [LINEAR[leg] if name.startswith(_SORTED) else TYPES[leg]]},
        "warnOnFetchOpenOrdersWithoutSymbol": False,
        "tradesLimit": CACHE,
        "ordersLimit": CACHE,
        **profile.options,
    }
    if "recvWindow" in options:
        options["recvWindow"] = settings.recv_window_ms
    exchange = class_of(name, now_ms, profile)(
        {
            **_keys(context),
            "enableRateLimit": False,
            "newUpdates": True,
            "timeout": settings.read_timeout_ms,
            "options": options,
        }
    )
    exchange.streaming = {**(exchange.streaming or {}), "keepAlive": settings.ping_ms}
    exchange.has["fetchCurrencies"] = False
    _place(exchange, profile, leg, settings)
    return exchange


_SORTED = ("binance", "bybit")
"""Classes of ccxt that sort markets into spot, linear and inverse when they are fetched."""


def keep_connections(exchange: Any) -> None:
    """Give the opened instance a session whose connections outlive a pause."""
    aiohttp = importlib.import_module("aiohttp")
    vars(exchange).pop("open", None)  # it was closed before
    exchange.open()
    exchange.tcp_connector._keepalive_timeout = KEEP_ALIVE_S  # noqa: SLF001 - 15 s by default, and ccxt makes it itself
    assert isinstance(exchange.session, aiohttp.ClientSession)


async def let_go(exchange: Any) -> None:
    """Close the instance; raises what ccxt does, but leaves nothing open then either.

    ccxt's own close stops at its first error, and a task of ccxt's that wakes up later (a user
    stream's renewal) opens a session which nobody would close: here it is refused one.
    """
    session = exchange.session
    exchange.open = _closed
    try:
        async with asyncio.timeout(CLOSE_S):
            await exchange.close()
    finally:
        exchange.session = exchange.tcp_connector = None
        exchange.clients.clear()
        if session is not None:
            await session.close()  # with its connector


def _closed(*_: object) -> None:
    error = importlib.import_module("ccxt.base.errors").ExchangeClosedByUser
    raise error("closed")


def _keys(context: VenueContext) -> dict[str, str]:
    """Return the account's secrets under ccxt's names."""
    secrets: Mapping[str, str] = context.secrets
    names = {
        "api_key": "apiKey",
        "api_secret": "secret",
        "passphrase": "password",
        "private_key": "privateKey",
    }
    found = {names[name]: value for name, value in secrets.items() if name in names}
    settings: CcxtSettings = context.settings
    if settings.wallet_address:
        found["walletAddress"] = settings.wallet_address
    return found


def _place(exchange: Any, profile: Profile, leg: str, settings: CcxtSettings) -> None:
    """Point the instance at its environment."""
    match settings.environment:
        case "testnet":
            exchange.set_sandbox_mode(True)
        case "demo":
            exchange.enable_demo_trading(True)
        case "local":
            url = (settings.futures_url if leg == FUTURES else settings.spot_url).rstrip("/")
            if leg not in profile.local:
                raise ConfigError(f"ccxt:{profile.name} has no simulator: no environment local")
            exchange.timeout_on_exit = 0  # there is no TLS to close
            exchange.verify = False  # nor to check: reading the certificates takes 18 ms
            address = url or "http://127.0.0.1:1"
            for path, template in profile.local[leg].items():
                *way, last = path.split(".")
                node = exchange.urls["api"]
                for word in way:
                    if not isinstance(node.get(word), dict):
                        node[word] = {}
                    node = node[word]
                socket = address.replace("http://", "ws://")
                node[last] = template.format(http=address, ws=socket)
        case _:
            return
