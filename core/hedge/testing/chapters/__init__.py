"""The chapters of the kit; importing them registers their cards."""

from hedge.testing.chapters import (
    account,
    ambiguity,
    errors,
    fills,
    hygiene,
    instruments,
    market,
    money,
    orders,
    stream,
)

__all__ = [
    "account",
    "ambiguity",
    "errors",
    "fills",
    "hygiene",
    "instruments",
    "market",
    "money",
    "orders",
    "stream",
]
