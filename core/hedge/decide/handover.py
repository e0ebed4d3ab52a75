"""What the last run has under way is ended before another action begins."""

from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import steps, trading
from hedge.decide.events import Verb
from hedge.decide.leg_book import LegBook
from hedge.decide.mode import Mode, Trigger
from hedge.decide.risk import Reason
from hedge.decide.terms import Action

if TYPE_CHECKING:
    from hedge.decide.engine import Engine


def left_whole(engine: "Engine", action: Action) -> bool:
    """End what the last run had under way; return whether ``action`` may begin.

    What rests is cancelled, and what is open is hedged as long as the mode does that: the new
    action may begin in HALT, where nothing would ever close it. A liquidation, be it the action or
    what a person asks for, closes it by itself, and a `single` that will not begin on what no open
    run explains sends nothing. A loss of the short that no hedge may follow is no work of the last
    run: what was authorised for it goes on in HALT.
    """
    books = engine.books
    stays = action is Action.SINGLE and bool(books.futures.held) and not books.run.open
    asked = any(one.verb is Verb.LIQUIDATE for one in books.asked.values())
    liquidates = action is Action.LIQUIDATION or asked
    hedges = books.mode is not Mode.HALT and not liquidates and not stays
    legs = (books.spot,) if hedges else engine.leg_books()  # a hedge ends by itself
    for book in legs:
        _withdraw(engine, book)
    if hedges and not books.spot.open:
        _keep(engine)
    # Before the last of them is gone, too: what they fill meanwhile is hedged at once.
    hedged = not hedges or trading.hedged(engine)
    if any(book.open for book in legs):
        engine.hold(Reason.RECOVERING, "cancelling what rests")
        return False
    lost = trading.unresolved(engine) and engine.delta > 0 and not books.futures.open
    return hedged or lost


def _keep(engine: "Engine") -> None:
    """Have what an unwinding left unhedged hedged: it would sell it, what supersedes it may not."""
    gap = engine.delta > 0 and not engine.quantities_equal and not trading.unresolved(engine)
    if engine.books.mode is Mode.LIQUIDATION and gap:
        held = engine.books.spot.held
        keep = c.SetTarget(quantity=held, price=engine.spot_price, why="superseded")
        steps.change_mode(engine, Trigger.SCALE, "superseded while unhedged", target=keep)


def _withdraw(engine: "Engine", book: LegBook) -> None:
    """Cancel what is open, and again: a process may have died before its cancel left."""
    for record in list(book.open.values()):
        again = record.cancel_asked_at + trading.CANCEL_ASK_AGAIN
        if record.cancel_asked_at and engine.now < again:
            engine.due(again)
            continue
        order_id = record.client_order_id
        engine.issue(c.CancelOrder(leg=book.leg, client_order_id=order_id, why="superseded"))
        engine.due(engine.now + trading.CANCEL_ASK_AGAIN)
