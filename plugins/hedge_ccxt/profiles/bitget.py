"""Bitget: base-coin sizes, margin mode with each order, 30 s to be late in."""

from hedge_ccxt.errors import Codes, words
from hedge_ccxt.profiles.profile import STREAMED, Profile, Rights

CODES = Codes(
    refused=words(
        "40001 40002 40003 40004 40005 40006 40008 40009 40011 40012 40014 40017 40018 40019 40020"
        " 40034 40037 40309 40762 40774 43008 43009 43011 43012 45110 45111 45115 22002"
    ),
    limited=words("429 30007"),
    missing=words("40109 43001 43025 40768"),
    unknown=words("40010 40015 40725 45001 40786 40757"),
)
BITGET = Profile(
    name="bitget", title="Bitget", secrets=("api_key", "api_secret", "passphrase"),
    can=STREAMED, codes=CODES, recv_window_ms=30_000,
    trades_window_h=7 * 24, page=100, marks="watch_ticker", mode_from="positions",
    sets_margin_mode=True, order_params={"marginMode": "{mode}"},
    rights=Rights(method="privateSpotGetV2SpotAccountInfo", path="data.authorities",
                  spot=("stow",), futures=("coow",), withdraw=("wtow", "wwow"), ip="data.ips"),
)  # fmt: skip
