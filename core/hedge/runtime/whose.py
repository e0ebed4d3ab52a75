"""Whose account a venue speaks of when it refuses: there may be several at one venue."""

import contextlib
from collections.abc import Iterator

from hedge.config.values import VenueRef
from hedge.errors import Refused


@contextlib.contextmanager
def whose(ref: VenueRef) -> Iterator[None]:
    """Name the account in what its venue refuses."""
    try:
        yield
    except Refused as error:
        if ref.account:
            error.args = (f"{error} (account {ref.account})",)
        raise
