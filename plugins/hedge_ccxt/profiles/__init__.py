"""One profile per venue; a venue without one is served in ccxt's common form, and polled."""

from hedge_ccxt.profiles.binance import BINANCE
from hedge_ccxt.profiles.bitget import BITGET
from hedge_ccxt.profiles.bybit import BYBIT
from hedge_ccxt.profiles.gate import GATE
from hedge_ccxt.profiles.hyperliquid import HYPERLIQUID
from hedge_ccxt.profiles.kucoin import KUCOIN
from hedge_ccxt.profiles.okx import OKX
from hedge_ccxt.profiles.profile import Profile

PROFILES: dict[str, Profile] = {
    one.name: one for one in (BINANCE, BITGET, BYBIT, GATE, HYPERLIQUID, KUCOIN, OKX)
}


def profile_of(name: str) -> Profile:
    """Return the venue's profile, or the common one under its name."""
    return PROFILES.get(name) or Profile(name=name, title=name)
