"""Perpetuals whose one unit holds many coins: an explicit table.

ccxt reports ``1000SHIB`` as the base and a contract size of 1. A name alone proves nothing
(``1INCH`` is a coin), so only what stands here or in the settings is taken for a multiple.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from hedge.model.numbers import ONE

COINS = {
    1_000: (
        "APU BONK BTT CAT CATS CHEEMS FLOKI LUNC MUMU NEIRO NEIROCTO PEPE RATS SATS SHIB TAG TOSHI"
        " TURBO WHY X XEC"
    ),
    10_000: "COQ ELON LADYS QUBIC SATS WEN WHY",
    1_000_000: "BABYDOGE CHEEMS MOG PEIPEI",
    10_000_000: "AIDOGE",
}  # fmt: skip
K_COINS = "BONK DOGS FLOKI LUNC NEIRO PEPE SHIB"
"""Hyperliquid's: ``kPEPE`` (ccxt may write it in capitals)."""

MULTIPLES: dict[str, tuple[str, Decimal]] = {
    "SHIB1000": ("SHIB", Decimal(1_000)),
    "1MBABYDOGE": ("BABYDOGE", Decimal(1_000_000)),
    **{
        f"{count}{coin}": (coin, Decimal(count))
        for count, coins in COINS.items()
        for coin in coins.split()
    },
    **{f"{k}{coin}": (coin, Decimal(1_000)) for k in "kK" for coin in K_COINS.split()},
}
"""Base of the perpetual -> the coin, and how many of it are in one."""

Table = Mapping[str, tuple[str, Decimal]]


def coin_of(perpetual_base: str, own: Table) -> tuple[str, Decimal]:
    """Return the coin, and how many of it one unit holds; ``own`` comes before the table."""
    return own.get(perpetual_base) or MULTIPLES.get(perpetual_base) or (perpetual_base, ONE)


def names_of(coin: str, own: Table) -> Iterator[str]:
    """Yield what a perpetual of the coin may be called; the coin itself first."""
    yield coin
    for table in (own, MULTIPLES):
        yield from (name for name, (base, _) in table.items() if base == coin)
