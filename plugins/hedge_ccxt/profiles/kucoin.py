"""KuCoin: two classes of ccxt, swaps count contracts (multiplier), 5 s to be late in."""

from hedge_ccxt.errors import Codes, words
from hedge_ccxt.parse import Profits
from hedge_ccxt.profiles.profile import STREAMED, Profile, Rights

CODES = Codes(
    refused=words(
        "400001 400002 400003 400004 400005 400006 400007 400100 400350 400500 400600 200004"
        " 200003 230003 300003 300005 300008 300009 300011 300012 300016 300018 300031 411100"
        " 900001 330005 330011"
    ),
    limited=words("429000 200002 1015"),
    missing=words("100001 400300 404000"),
    unknown=words("230005 500000 126044 200009 102411 300000"),
    same=words("330001"),
)
KUCOIN = Profile(
    name="kucoin", title="KuCoin", secrets=("api_key", "api_secret", "passphrase"),
    futures="kucoinfutures", can=STREAMED, codes=CODES,
    recv_window_ms=5_000, trades_window_h=24, page=100, marks="watch_mark_price",
    paid_on="positionQty", profits=Profits(rows="data", profit="unrealisedPNL", asset="currency"),
    mode_from="fetch_position_mode", sets_margin_mode=True, order_params={"marginMode": "{MODE}"},
    rights=Rights(method="privateGetUserApiKey", path="data.permission",
                  spot=("Spot", "Unified"), futures=("Futures", "Unified"),
                  withdraw=("Withdrawal", "Transfer"), ip="data.ipWhitelist"),
)  # fmt: skip
