"""Goal: a key that may too little or too much is refused, with the mend in the sentence.
Method: every combination of rights, account settings and environment.
"""

from itertools import product

from hedge.config.settings import AccountSettings
from hedge.config.values import VenueRef
from hedge.roles import KeyRights
from hedge.runtime.rights import objections

REF = VenueRef.parse("bybit@carry")


def test_every_combination():
    yes_no = (False, True)
    for trade, withdraw, bound, allow, anywhere, where in product(
        yes_no, yes_no, (None, False, True), yes_no, yes_no, ("live", "testnet", "local")
    ):
        rights = KeyRights(trade=trade, withdraw=withdraw, ip_bound=bound)
        account = AccountSettings(allow_withdraw=allow, allow_any_ip=anywhere)
        said = "\n".join(objections(REF, rights, account, where))
        assert ("may not trade" in said) is (not trade)
        assert ("accounts.carry.allow_withdraw" in said) is (withdraw and not allow)
        unbound = bound is False and where == "live" and not anywhere
        assert ("accounts.carry.allow_any_ip" in said) is unbound


def test_without_an_account_nothing_is_allowed():
    rights = KeyRights(trade=True, withdraw=True, ip_bound=False)
    assert len(objections(REF, rights, None, "live")) == 2


def test_a_leg_without_an_account_trades_with_the_one_called_like_its_venue():
    names = {text: VenueRef.parse(text).account_name for text in ("binance", "ccxt:okx", "a@b")}
    assert names == {"binance": "binance", "ccxt:okx": "okx", "a@b": "b"}
