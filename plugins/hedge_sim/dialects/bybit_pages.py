"""How a long answer is cut: pages with a cursor, and the span of time a query covers."""

from collections.abc import Sequence
from typing import Final, TypeVar
from urllib.parse import quote, unquote

from hedge_sim.dialects.bybit_errors import Rejection, bad_param
from hedge_sim.dialects.bybit_params import Params, limit_of, text_of, whole_of

T = TypeVar("T")
WEEK_MS: Final = 7 * 24 * 3600 * 1_000


def page(rows: Sequence[T], params: Params, default: int, most: int) -> tuple[list[T], str]:
    """Return a page of rows that are oldest first, newest first, and the cursor of the next.

    The cursor is a place counted from the oldest row, so that new rows do not shift the pages.
    """
    limit = limit_of(params, default, most)
    cursor = unquote(text_of(params, "cursor"))
    end = len(rows)
    if cursor:
        place = cursor.removeprefix("before:")
        if not cursor.startswith("before:") or not place.isdigit():
            raise bad_param("cursor invalid")
        end = min(int(place), end)
    begin = max(end - limit, 0)
    return list(reversed(rows[begin:end])), quote(f"before:{begin}", safe="") if begin else ""


def span(params: Params, now_ms: int, most_ms: int = WEEK_MS) -> tuple[int, int]:
    """Return startTime and endTime (ms), completed as the venue does; raise 10001."""
    start, end = whole_of(params, "startTime", 0), whole_of(params, "endTime", 0)
    if start and end and not 0 <= end - start <= most_ms:
        raise Rejection(10001, "The time range between startTime and endTime cannot exceed 7 days.")
    if start:
        return start, end or start + most_ms
    return (end or now_ms) - most_ms, end or now_ms + 1_000
