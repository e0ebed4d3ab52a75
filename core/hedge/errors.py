"""Errors by blame, and the exit code each one ends the process with.

HedgeError                    exit 1
├── UsageError                exit 2   the command line, or a malformed ``--add``
├── ConfigError               exit 3   the configuration or a secret
├── VenueError
│   ├── Refused               exit 4   the venue said no, for certain (allow-listed codes only)
│   │   └── Limited                    refused by a rate limit; carries ``retry_after_s``
│   ├── Unreachable           exit 4   nothing was sent, or a read failed; changes nothing
│   ├── OutcomeUnknown                 sent, and nobody knows (timeout, 5xx, unparsable reply)
│   └── Missing               exit 4   the venue answered that it does not know the thing
├── Malformed                          a payload that is not what its venue documents
├── SafetyRefusal             exit 5   a limit, or a confirmation that was not given
├── PositionFound             exit 6   ``single`` met a position that no open run explains
├── NotHedged                 exit 7   ended outside the tolerance
├── LockHeld                  exit 8   another engine owns the state or the instrument
├── PluginError               exit 9   missing, blocked, broken or incompatible
├── NotRunning                exit 10
├── JournalError              exit 12  corrupt or unreadable; the disk is full, read-only or failing
└── InvariantBroken           exit 13  ours, a bug: stopped on purpose
"""

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import ClassVar

_redactors: list[Callable[[str], str]] = []


def redact_with(redact: Callable[[str], str]) -> None:
    """Have every text that comes from outside go through ``redact`` before it is kept or said."""
    _redactors[:] = [redact]


def redacted(text: str) -> str:
    """Return a text of a plugin or a venue as it may be written down: without a key in it."""
    for redact in _redactors:
        text = redact(text)
    return text


class HedgeError(Exception):
    """Root of everything this project raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(HedgeError):
    exit_code = 2


class ConfigError(HedgeError):
    exit_code = 3


class VenueError(HedgeError):
    """Something at, or on the way to, a venue."""

    exit_code = 4


class Refused(VenueError):
    """A definite no: ``code`` is the venue's own, and stands in the plugin's table."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Limited(Refused):
    def __init__(self, message: str, *, code: str = "", retry_after_s: int = 1) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Unreachable(VenueError):
    """Nothing left this machine, or a read got no answer."""


class OutcomeUnknown(VenueError):
    """The request left and its outcome is not known; never to be sent again blindly."""


class Missing(VenueError):
    """The venue answered, and knows no such thing (an order id, a symbol)."""


class Malformed(HedgeError):
    """A payload that does not parse; after a send it counts as OutcomeUnknown (F09)."""


class SafetyRefusal(HedgeError):
    exit_code = 5


class PositionFound(HedgeError):
    exit_code = 6


class NotHedged(HedgeError):
    exit_code = 7


class LockHeld(HedgeError):
    exit_code = 8


class PluginError(HedgeError):
    exit_code = 9


class NotRunning(HedgeError):
    exit_code = 10


class JournalError(HedgeError):
    exit_code = 12


class InvariantBroken(HedgeError):
    exit_code = 13


# -- what could not be written -------------------------------------------------------------------

DISK_MENDS = {
    errno.ENOSPC: "free some space and start again",
    errno.EDQUOT: "raise the quota or free some space, and start again",
    errno.EFBIG: "raise the limit on the size of a file, and start again",
    errno.EROFS: "mount it read-write or choose another --state-dir",
    errno.EIO: "the disk is failing: take `hedge journal backup` elsewhere and replace it",
}
"""What is wrong with a disk, and with no line or file of the user's; and what mends it."""


def unwritten(
    said: str, error: OSError, *, otherwise: type[HedgeError] = ConfigError
) -> HedgeError:
    """Return the error for what could not be written: of the disk, or ``otherwise`` of a path.

    The same start works again when the disk does: no supervisor may give up on it (exit 12).
    """
    reason = error.strerror or str(error)
    mend = DISK_MENDS.get(error.errno or 0)
    return JournalError(f"{said}: {reason}; {mend}") if mend else otherwise(f"{said}: {reason}")


@contextlib.contextmanager
def writing(said: str, *, otherwise: type[HedgeError] = ConfigError) -> Iterator[None]:
    """Turn an operating system's no within into the error of `unwritten`."""
    try:
        yield
    except OSError as error:
        raise unwritten(said, error, otherwise=otherwise) from None
