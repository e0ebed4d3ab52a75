"""How long to wait before the next attempt: exponential, capped, full jitter, without an end."""

from random import Random

from hedge.model.numbers import MS

_DOUBLINGS_MAX = 32


class Backoff:
    """Waits drawn from 0 to ``first_ms * 2**attempts``, at most ``max_ms``.

    Full jitter spreads the clients that one outage dropped at one moment.
    """

    def __init__(self, random: Random, *, first_ms: int, max_ms: int) -> None:
        self._random = random
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._attempts = 0

    def next_ns(self) -> int:
        """Return the next wait, ns."""
        doublings = min(self._attempts, _DOUBLINGS_MAX)
        self._attempts += 1
        return self._random.randrange(min(self._max_ms, self._first_ms << doublings) * MS + 1)

    def reset(self) -> None:
        """Begin again at the first step."""
        self._attempts = 0
