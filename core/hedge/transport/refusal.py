"""What a server's refusal to upgrade says of when to come back."""

from picows import WSHandshakeError

from hedge.model.numbers import SECOND

RETRY_AFTER_MAX_S = 3 * 86_400
"""Three days: Binance's longest ban of an address; a longer word is taken for this."""
_DIGITS_MAX = 9
"""More are more than three days anyway, and `int` refuses thousands."""


def retry_after_ns(error: BaseException | None) -> int:
    """Return the ns of a Retry-After header in whole seconds; 0 where there is none."""
    response = error.response if isinstance(error, WSHandshakeError) else None
    value = "" if response is None else response.headers.get("Retry-After", "")
    if not value.isdecimal():
        return 0
    return min(int(value[:_DIGITS_MAX]), RETRY_AFTER_MAX_S) * SECOND
