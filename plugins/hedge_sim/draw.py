"""Seeded chance: everything that looks random at this venue comes from here."""

import random

_MASK = (1 << 64) - 1
WHOLE_BITS = 20
WHOLE = 1 << WHOLE_BITS
"""The scale of `mixed`: its values lie in -WHOLE..WHOLE."""


def dice(*parts: object) -> random.Random:
    """Return a generator that depends on the parts alone (text seeds do not use ``hash``)."""
    return random.Random("|".join(str(part) for part in parts))  # noqa: S311 - repeatable, not secret


def mixed(key: int, index: int) -> int:
    """Return a number in -WHOLE..WHOLE for a place on a lattice, without stepping (splitmix64)."""
    x = (key + index * 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((x ^ (x >> 31)) >> (63 - WHOLE_BITS)) - WHOLE
