"""Times as a person types and reads them; all of them UTC, none of them from a clock."""

import re
from datetime import UTC, datetime, timedelta

from hedge.errors import UsageError
from hedge.model.numbers import DAY, HOUR, MINUTE, MS, SECOND

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def when(at: int) -> str:
    """Return ``2024-03-01 08:00:00``, with milliseconds where there are any."""
    whole, rest = divmod(at, SECOND)
    text = (EPOCH + timedelta(seconds=whole)).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{rest // MS:03d}" if rest >= MS else text


def stamp(at: int) -> str:
    """Return an ISO 8601 time with Z and nine decimals cut to what is there."""
    whole, rest = divmod(at, SECOND)
    text = (EPOCH + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def day(number: int) -> str:
    """Return the date of a day counted from 1970."""
    return (EPOCH + timedelta(days=number)).strftime("%Y-%m-%d")


def parse_when(text: str, now: int) -> int:
    """Read an ISO time or date, a clock time of the day of ``now``, or an age such as ``7d``."""
    text = text.strip()
    age = re.fullmatch(r"(\d+)([smhdw])", text)
    if age is not None:
        return now - int(age[1]) * UNITS[age[2]]
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?Z?", text):
        text = f"{day(now // DAY)} {text.zfill(5) if len(text) < 5 else text}"  # noqa: PLR2004 - of HH:MM
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"no time: {text!r} (say 2024-03-01, 2024-03-01T08:00:00Z, 08:00 or 7d)"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000
