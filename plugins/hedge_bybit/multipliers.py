"""Perpetuals whose one unit holds many coins: an explicit table.

A name alone proves nothing (``1INCH`` is a coin), so only what stands here is taken for a
multiple, and the venue's own prices must agree before it is traded.
"""

from decimal import Decimal

from hedge.model.numbers import ONE

TABLE = {
    1_000: (
        "APU BONK BTT CAT CATS FLOKI LUNC MUMU NEIROCTO PEPE RATS TAG TOSHI TURBO X XEC"
    ),
    10_000: "COQ ELON LADYS QUBIC SATS WEN WHY",
    1_000_000: "BABYDOGE CHEEMS MOG PEIPEI",
    10_000_000: "AIDOGE",
}  # fmt: skip
"""``1000PEPE`` holds 1,000 PEPE: coins of Bybit's linear perpetuals by what stands before them."""

MULTIPLES: dict[str, tuple[str, Decimal]] = {
    "SHIB1000": ("SHIB", Decimal(1_000)),
    **{
        f"{count}{coin}": (coin, Decimal(count))
        for count, coins in TABLE.items()
        for coin in coins.split()
    },
}
"""Base coin of the perpetual -> the coin, and how many of it are in one."""


def base_of(perpetual_base: str) -> tuple[str, Decimal]:
    """Return the coin, and how many of it one unit of the perpetual holds."""
    return MULTIPLES.get(perpetual_base, (perpetual_base, ONE))
