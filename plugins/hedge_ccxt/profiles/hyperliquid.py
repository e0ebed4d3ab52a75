"""Hyperliquid: signs with a wallet's key, ids of 128 bits, five significant digits of price.

Its answers carry no codes: ccxt sorts them by their words, and only its certain classes count.
"""

from hedge_ccxt.order_ids import IdStyle
from hedge_ccxt.parse import Profits
from hedge_ccxt.profiles.profile import STREAMED, Profile

TWO_DAYS_MS = 48 * 3_600 * 1_000

HYPERLIQUID = Profile(
    name="hyperliquid", title="Hyperliquid", secrets=("private_key",), can=STREAMED,
    ids=IdStyle.HEX,
    options={"builderFee": False},
    recv_window_ms=TWO_DAYS_MS,  # how old a nonce may be, in the venue's documentation
    trades_window_h=7 * 24, page=2_000, marks="fetch_funding_rate", mode_from="one_way",
    leverage_params={"marginMode": "{mode}"}, leverage_from="publicPostInfo",
    profits=Profits(rows="assetPositions", profit="position.unrealizedPnl"), paid_on="delta.szi",
    silenced=("handle_builder_fee_approval", "set_ref"),
)  # fmt: skip
