"""A hedge goes on with the instruments and on the accounts it was opened with, by fresh ids."""

from collections.abc import Sequence

from hedge.config.values import VenueRef
from hedge.decide.engine import Engine
from hedge.decide.events import OperatorAsked, Verb
from hedge.decide.terms import HedgeTerms
from hedge.errors import SafetyRefusal
from hedge.model.numbers import MINUTE
from hedge.runtime.roles_open import Roles
from hedge.runtime.whose import whose

EPOCH_DIGITS = slice(6, 10)
RESTARTS_MAX = 3
RESTARTS_WINDOW = 10 * MINUTE


def holds(engine: Engine) -> bool:
    """Return whether the journal says that a hedge is open, or a part of one, or may become so.

    An order whose end is not known may fill, or may have filled while nobody looked.
    """
    ordered = any(book.open for book in engine.leg_books())
    return bool(engine.inventory or engine.position or ordered)


def same_instruments(terms: HedgeTerms, before: HedgeTerms | None, engine: Engine) -> None:
    """Refuse to go on with an open hedge whose instrument has changed its units (F38)."""
    if before is None or not holds(engine):
        return
    for now, then in ((terms.spot, before.spot), (terms.futures, before.futures)):
        if now.instrument.fingerprint() != then.instrument.fingerprint():
            raise SafetyRefusal(
                f"{now.instrument.symbol} on {now.instrument.venue} has changed its units since"
                f" this hedge was opened: {then.instrument.fingerprint()} ->"
                f" {now.instrument.fingerprint()}; unwind it by hand"
            )


def _may_have_forgotten(engine: Engine, boot_id: str) -> bool:
    """Return whether orders may be out of which nothing is written but the leases of their ids.

    A machine that dies takes the last rows along. Behind the end of a run nothing was sent.
    """
    books = engine.books
    died = books.boot_id not in {"", boot_id} and not books.ended
    return died and any(book.lease_wished_to > book.sequence for book in engine.leg_books())


def same_accounts(
    terms: HedgeTerms, before: HedgeTerms | None, engine: Engine, boot_id: str
) -> None:
    """Refuse to look for an open hedge on another account, or on a testnet: it would seem lost.

    ``boot_id`` names this boot of the machine.
    """
    if before is None or not (holds(engine) or _may_have_forgotten(engine, boot_id)):
        return
    for now, then in ((terms.spot, before.spot), (terms.futures, before.futures)):
        if then.account and now.account != then.account:
            raise SafetyRefusal(
                f"this hedge was opened with {now.instrument.symbol} on the account {then.account}"
                f" of {now.instrument.venue}, not on {now.account}; unwind it there, or name the"
                " other hedge otherwise"
            )


def locked_by_restarts(starts: Sequence[int], now: int) -> OperatorAsked | None:
    """Return the lock of a hedge that has restarted too often: a person is to look.

    ``starts`` are the times of the earlier ones since its last end.
    """
    recent = [at for at in starts if now - at < RESTARTS_WINDOW]
    if len(recent) <= RESTARTS_MAX:
        return None
    return OperatorAsked(
        at=now,
        verb=Verb.LOCK,
        request_id=f"restarts:{now}",
        subject="RESTARTS",
        by=f"{len(recent)} restarts within ten minutes",
    )


async def epoch_seen(roles: Roles, refs: tuple[VenueRef, VenueRef], engine: Engine) -> int:
    """Return the highest epoch of our ids that the venues still show (R14)."""
    terms = engine.terms
    seen = [0]
    for ref, gateway, leg in zip(
        refs, (roles.spot_gateway, roles.futures_gateway), (terms.spot, terms.futures), strict=True
    ):
        symbol = leg.instrument.symbol
        with whose(ref):
            ids = [order.client_order_id for order in await gateway.read_open_orders(symbol)]
            fills = await gateway.read_fills(symbol, engine.now - MINUTE)
        ids += [fill.client_order_id for fill in fills]
        seen += [int(one[EPOCH_DIGITS], 16) for one in ids if one.startswith(terms.prefix)]
    return max(seen)
