"""The life of one order of ours: a table of ``(status, trigger) -> status``, and nothing else.

How much was filled is not here: quantity is cumulative and monotone whatever the status says, so a
fill after a cancel is lawful (it happens), and changes the quantity only.
"""

import enum


class OrderStatus(enum.StrEnum):
    INTENDED = "intended"
    """Written down and handed to the wire; no answer yet."""
    DOUBTFUL = "doubtful"
    """Its outcome is not known: it counts in full and freezes its leg."""
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    DEAD = "dead"
    """Behind the fence, with proof that it never came to be."""


class OrderTrigger(enum.StrEnum):
    SEEN_WORKING = "seen_working"
    SEEN_FILLED = "seen_filled"
    SEEN_CANCELLED = "seen_cancelled"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    RESTARTED = "restarted"
    """The process that sent it is gone."""
    VANISHED = "vanished"
    """The venue's authoritative word, asked by id, is that it knows no such order."""
    BURIED = "buried"


S, G = OrderStatus, OrderTrigger
OPEN = frozenset({S.INTENDED, S.DOUBTFUL, S.WORKING})

TRANSITIONS: dict[tuple[OrderStatus, OrderTrigger], OrderStatus] = {
    (S.INTENDED, G.SEEN_WORKING): S.WORKING,
    (S.INTENDED, G.SEEN_FILLED): S.FILLED,
    (S.INTENDED, G.SEEN_CANCELLED): S.CANCELLED,
    (S.INTENDED, G.REFUSED): S.REFUSED,
    (S.INTENDED, G.UNANSWERED): S.DOUBTFUL,
    (S.INTENDED, G.RESTARTED): S.DOUBTFUL,
    (S.DOUBTFUL, G.SEEN_WORKING): S.WORKING,
    (S.DOUBTFUL, G.SEEN_FILLED): S.FILLED,
    (S.DOUBTFUL, G.SEEN_CANCELLED): S.CANCELLED,
    (S.DOUBTFUL, G.REFUSED): S.DOUBTFUL,  # a late "no" to a request that was already in doubt
    (S.DOUBTFUL, G.UNANSWERED): S.DOUBTFUL,
    (S.DOUBTFUL, G.RESTARTED): S.DOUBTFUL,
    (S.INTENDED, G.VANISHED): S.INTENDED,  # not visible yet means nothing (F07)
    (S.DOUBTFUL, G.VANISHED): S.DOUBTFUL,
    (S.WORKING, G.VANISHED): S.DOUBTFUL,
    (S.DOUBTFUL, G.BURIED): S.DEAD,
    (S.WORKING, G.SEEN_WORKING): S.WORKING,
    (S.WORKING, G.SEEN_FILLED): S.FILLED,
    (S.WORKING, G.SEEN_CANCELLED): S.CANCELLED,
    (S.WORKING, G.REFUSED): S.WORKING,  # the stream was faster than the answer, and knows better
    (S.WORKING, G.UNANSWERED): S.WORKING,
    (S.WORKING, G.RESTARTED): S.WORKING,
    # What has ended stays ended, whatever arrives late or twice (F24).
    **{
        (ended, trigger): ended
        for ended in (S.FILLED, S.CANCELLED, S.REFUSED)
        for trigger in G
        if trigger is not G.BURIED and not (ended is S.REFUSED and trigger.value.startswith("seen"))
    },
    # A venue that shows an order it refused, or one we buried, contradicts itself: back to life.
    (S.REFUSED, G.SEEN_WORKING): S.WORKING,
    (S.REFUSED, G.SEEN_FILLED): S.FILLED,
    (S.REFUSED, G.SEEN_CANCELLED): S.CANCELLED,
    (S.DEAD, G.SEEN_WORKING): S.WORKING,
    (S.DEAD, G.SEEN_FILLED): S.FILLED,
    (S.DEAD, G.SEEN_CANCELLED): S.CANCELLED,
    (S.DEAD, G.REFUSED): S.DEAD,
    (S.DEAD, G.UNANSWERED): S.DEAD,
    (S.DEAD, G.RESTARTED): S.DEAD,
    (S.DEAD, G.VANISHED): S.DEAD,
}


class UnlawfulOrderStepError(AssertionError):
    """A (status, trigger) pair that the table does not have."""


def advance(status: OrderStatus, trigger: OrderTrigger) -> OrderStatus:
    """Return the status after ``trigger``; raise `UnlawfulOrderStepError` naming both."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise UnlawfulOrderStepError(f"no step from {status.value} by {trigger.value}") from None
