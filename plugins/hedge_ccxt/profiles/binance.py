"""Binance: two classes of ccxt, ids unique among open orders only, settings per symbol."""

from hedge.roles import Can
from hedge_ccxt.errors import Codes, words
from hedge_ccxt.parse import Profits
from hedge_ccxt.profiles.profile import STREAMED, Profile, Rights

CODES = Codes(
    refused=words(
        "-1002 -1013 -1014 -1020 -1021 -1022 -1100 -1101 -1102 -1103 -1104 -1105 -1106 -1111 -1115"
        " -1116 -1117 -1121 -1130 -2014 -2015 -2018 -2019 -2020 -2022 -2023 -2024 -2025 -2027"
        " -2028 -4003 -4004 -4005 -4014 -4015 -4016 -4023 -4024 -4028 -4061 -4067 -4068 -4088"
        " -4131 -4140 -4164 -5022 -5028"
    ),
    limited=words("-1003 -1008 -1015"),
    missing=words("-2011 -2013"),
    unknown=words("-1000 -1001 -1006 -1007 -4116"),
    same=words("-4046 -4059"),
)
HTTP, WS = "{http}", "{ws}"
FAPI = {f"fapi{side}{n}": f"{HTTP}/fapi/{v}" for side in ("Public", "Private")
        for n, v in (("", "v1"), ("V2", "v2"), ("V3", "v3"))}  # fmt: skip
BINANCE = Profile(
    name="binance", title="Binance", futures="binanceusdm", can=STREAMED | Can.RESULT_ACK,
    codes=CODES, options={"recvWindow": 0, "fetchMargins": False}, page=500, trades_named=False,
    marks="watch_mark_price", mode_from="fetch_position_mode", sets_margin_mode=True,
    profits=Profits(rows="assets", profit="unrealizedProfit", asset="asset"), interval_default_h=8,
    rights=Rights(method="sapiGetAccountApiRestrictions", path="",
                  spot=("enableSpotAndMarginTrading",), futures=("enableFutures",),
                  ip="ipRestrict", ends="tradingAuthorityExpirationTime",
                  withdraw=("enableWithdrawals", "enableInternalTransfer",
                            "permitsUniversalTransfer")),
    local={
        "spot": {"public": f"{HTTP}/api/v3", "private": f"{HTTP}/api/v3", "sapi": f"{HTTP}/sapi/v1",
                 "ws.spot": f"{WS}/ws", "ws.ws-api.spot": f"{WS}/ws-api/v3"},
        "futures": {**FAPI, "sapi": f"{HTTP}/sapi/v1", "ws.linear": f"{WS}/ws",
                    "ws.future": f"{WS}/ws", "ws.ws-api.linear": f"{WS}/ws-fapi/v1",
                    "ws.ws-api.future": f"{WS}/ws-fapi/v1"},
    },
)  # fmt: skip
