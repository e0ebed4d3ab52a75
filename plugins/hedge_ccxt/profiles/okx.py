"""OKX: swaps count contracts (ctVal x ctMult), ids are letters and digits, 30 s to be late in."""

from hedge.roles import Can
from hedge_ccxt.errors import Codes, words
from hedge_ccxt.parse import Profits
from hedge_ccxt.profiles.profile import STREAMED, Profile, Rights

CODES = Codes(
    refused=words(
        "50100 50101 50102 50103 50105 50110 50111 50112 50113 50114 50119 50120 51000 51001 51004"
        " 51006 51008 51010 51020 51023 51024 51119 51120 51121 51131 51136 51137 51138 51169"
        " 51201 51202 51205 51401 59000"
    ),
    limited=words("50011 50061"),
    missing=words("51400 51402 51503 51603"),
    unknown=words("50001 50004 50005 50013 50026 51016 51054"),
    same=words("59108"),
)
OKX = Profile(
    name="okx", title="OKX", secrets=("api_key", "api_secret", "passphrase"),
    can=STREAMED | Can.SHARED_WALLET, codes=CODES,
    recv_window_ms=30_000, trades_window_h=72, page=100, paid_on="sz",
    profits=Profits(rows="data.0.details", profit="upl", asset="ccy"),
    marks="watch_mark_price", mode_from="fetch_position_mode",
    leverage_params={"mgnMode": "{mode}"}, order_params={"marginMode": "{mode}"},
    rights=Rights(method="privateGetAccountConfig", path="data.0.perm",
                  spot=("trade",), futures=("trade",), withdraw=("withdraw",), ip="data.0.ip"),
)  # fmt: skip
