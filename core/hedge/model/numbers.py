"""Exact quantities: steps, rounding and units, in one place."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
BPS = Decimal("0.0001")
"""One basis point as a fraction."""

MS = 1_000_000
"""Nanoseconds in a millisecond. Every ``at`` is an int: nanoseconds UTC since 1970."""
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Round to a multiple of ``step`` towards minus infinity; a zero step means no grid."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Round to a multiple of ``step`` towards plus infinity; a zero step means no grid."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_CEILING) * step


def toward_zero(value: Decimal, step: Decimal) -> Decimal:
    """Round to a multiple of ``step`` so that the magnitude never grows."""
    return floor_to(value, step) if value >= 0 else -floor_to(-value, step)


def common_step(a: Decimal, b: Decimal) -> Decimal:
    """Return the smallest step that is a multiple of both ``a`` and ``b`` (their exact lcm)."""
    if not a:
        return b
    if not b:
        return a
    exponent = min(int(a.as_tuple().exponent), int(b.as_tuple().exponent))
    scale = ONE.scaleb(-exponent)
    left, right = int(a * scale), int(b * scale)
    gcd, rest = left, right
    while rest:
        gcd, rest = rest, gcd % rest
    return Decimal(left // gcd * right).scaleb(exponent)


def plain(value: Decimal) -> str:
    """Return the value without exponent and without trailing zeros: ``0.001``, ``0``, ``1500``."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
