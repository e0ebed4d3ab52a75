"""What a venue's own codes prove: the one table that turns its answers into our errors."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from hedge.errors import Limited, Malformed, Missing, Refused, VenueError
from hedge.transport.rest import Reply
from hedge.transport.rows import Row, read_json

T = TypeVar("T")
OK_BELOW, SERVER_ERROR = 300, 500


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """A code in none of the sets proves nothing; nor does any code beside a 5xx."""

    name: str
    refused: frozenset[str]
    """The definite no: what was asked has not been done and never will be."""
    missing: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()
    code: str = "code"
    """The field of an error with its code; the next two with its words, and seconds to wait."""
    text: str = "msg"
    wait: str = ""

    def judge(self, reply: Reply, take: Callable[[Any], T], unsure: type[VenueError]) -> T:
        """Return what ``take`` makes of the answer (see `read_json`), or raise what it proves.

        An answer that ``take`` cannot read proves nothing. ``unsure`` is the error of what proves
        nothing: `OutcomeUnknown` for a request that changes something, `Unreachable` for a read.
        """
        try:
            answer = read_json(reply.body)
            if reply.status < OK_BELOW:
                return take(answer)
            proven = self.error(answer, unsure) if isinstance(answer, Row) else unsure(self.name)
        except (Malformed, TypeError, AttributeError) as error:
            raise unsure(f"{self.name}: HTTP {reply.status}: {error}") from None
        if reply.status >= SERVER_ERROR:
            raise unsure(f"{proven} (HTTP {reply.status})")
        raise proven

    def error(self, row: Row, unsure: type[VenueError]) -> VenueError:
        """Return the error that a row with a code is."""
        code = row.text(self.code)
        said = f"{self.name}: {code} {row.text(self.text) if self.text in row else ''}".rstrip()
        if code in self.missing:
            return Missing(said)
        if code in self.limited:
            wait = row.whole(self.wait) if self.wait in row else 1
            return Limited(said, code=code, retry_after_s=wait)
        return Refused(said, code=code) if code in self.refused else unsure(said)
