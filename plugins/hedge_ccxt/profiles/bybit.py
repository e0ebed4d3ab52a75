"""Bybit v5: one unified account; orders are found by id in two lists, ids are unique for good."""

from hedge.roles import Can
from hedge_ccxt.errors import Codes, words
from hedge_ccxt.profiles.profile import STREAMED, Lookup, Profile, Rights

CODES = Codes(
    refused=words(
        "10001 10002 10003 10004 10005 10007 10009 10010 10024 10027 10028 10029 110003 110004"
        " 110006 110007 110012 110013 110017 110021 110023 110024 110028 110038 110044 110045"
        " 110052 110066 110067 110069 110094 170121 170124 170130 170131 170132 170133 170134"
        " 170135 170136 170137 170140 170148 170193 170194 170210 170217 170218"
    ),
    limited=words("10006 10018"),
    missing=words("110001 110008 110010 110019 170139 170142 170143 170213"),
    unknown=words(
        "10000 10014 10016 10019 10403 10429 110072 110079 170001 170005 170007 170032 170035"
        " 170141 170146 170147 170149 170234 20003 20006 429 500000"
    ),
    same=words("110025 110026 110043"),
)
WS = {
    "public": "{http}", "private": "{http}",
    "ws.public.spot": "{ws}/v5/public/spot", "ws.public.linear": "{ws}/v5/public/linear",
    "ws.private.spot.unified": "{ws}/v5/private", "ws.private.contract": "{ws}/v5/private",
    "ws.private.usdc": "{ws}/v5/private", "ws.private.trade": "{ws}/v5/trade",
}  # fmt: skip
BYBIT = Profile(
    name="bybit", title="Bybit", can=STREAMED | Can.SHARED_WALLET, codes=CODES,
    id_param="orderLinkId", options={"recvWindow": 0}, asks_first=("is_unified_enabled",),
    lists_all={"v5/execution/list": ("execType", "Trade")},
    lookups=(Lookup("fetch_open_orders", is_list=True),
             Lookup("fetch_canceled_and_closed_orders", is_list=True)),
    trades_window_h=7 * 24, page=100, marks="watch_ticker", mode_from="positions",
    pays_positive=True, paid_on="execQty", rights=Rights(
        method="privateGetV5UserQueryApi", path="result.permissions", ip="result.ips",
        read_only="result.readOnly", spot=("SpotTrade",), futures=("Order", "OptionsTrade"),
        ends="result.expiredAt", withdraw=("Withdraw", "AccountTransfer", "SubMemberTransfer")),
    local={"spot": WS, "futures": WS},
)  # fmt: skip
