"""An open hedge goes on only with the instruments and on the accounts it was opened with."""

from hedge.decide.engine import Engine
from hedge.decide.terms import HedgeTerms
from hedge.errors import SafetyRefusal


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


def same_accounts(terms: HedgeTerms, before: HedgeTerms | None, engine: Engine) -> None:
    """Refuse to look for an open hedge on another account, or on a testnet: it would seem lost."""
    if before is None or not holds(engine):
        return
    for now, then in ((terms.spot, before.spot), (terms.futures, before.futures)):
        if then.account and now.account != then.account:
            raise SafetyRefusal(
                f"this hedge was opened with {now.instrument.symbol} on the account {then.account}"
                f" of {now.instrument.venue}, not on {now.account}; unwind it there, or name the"
                " other hedge otherwise"
            )
