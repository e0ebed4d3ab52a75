"""Goal: the settings name the right hosts, and no key ever goes over an open wire.
Method: the model itself, as the host validates it.
"""

import pytest
from pydantic import ValidationError

from hedge.roles import VenueLimits
from hedge_bybit.config import BybitSettings


def test_the_hosts_of_each_environment():
    live = BybitSettings().hosts
    assert (live.rest, live.private) == ("https://api.bybit.com", "wss://stream.bybit.com")
    assert live.trade == live.public == live.private
    testnet = BybitSettings(environment="testnet").hosts
    assert testnet.rest == "https://api-testnet.bybit.com"
    assert testnet.private == testnet.public == "wss://stream-testnet.bybit.com"


def test_demo_has_no_order_socket_and_the_live_markets_prices():
    demo = BybitSettings(environment="demo").hosts
    assert demo.rest == "https://api-demo.bybit.com"
    assert demo.private == "wss://stream-demo.bybit.com"
    assert demo.public == "wss://stream.bybit.com"
    assert demo.trade == ""


def test_a_regional_site():
    found = BybitSettings(domain="bybit-tr.com").hosts
    assert found.rest == "https://api.bybit-tr.com" and found.trade == "wss://stream.bybit-tr.com"


def test_orders_by_rest_on_demand():
    assert BybitSettings(use_websocket_orders=False).hosts.trade == ""


def test_a_local_venue():
    found = BybitSettings(
        environment="local", rest_url="http://127.0.0.1:9/", stream_url="ws://localhost:9"
    ).hosts
    assert (found.rest, found.public) == ("http://127.0.0.1:9", "ws://localhost:9")


@pytest.mark.parametrize(
    "settings",
    [
        {"environment": "local"},
        {"environment": "local", "rest_url": "https://api.bybit.com", "stream_url": "ws://[::1]:1"},
        {"rest_url": "http://api.bybit.com"},
        {"stream_url": "ws://stream.bybit.com"},
        {"rest_url": "https://user:secret@api.bybit.com"},
        {"rest_url": "https://api.bybit.com/v5"},
        {"rest_url": "ftp://127.0.0.1"},
        {"domain": "bybit.com/evil"},
        {"environment": "paper"},
        {"unknown": 1},
        {"orders_reserve": 10},
        {"recv_window_ms": 60_000},
    ],
)
def test_what_is_refused(settings):
    with pytest.raises(ValidationError):
        BybitSettings(**settings)


def test_the_limits_follow_the_settings():
    found = BybitSettings(recv_window_ms=1_000, ack_timeout_ms=500).limits
    assert isinstance(found, VenueLimits)
    assert (found.recv_window_ms, found.ack_timeout_ms) == (1_000, 750 + 500)
    assert found.fence_ms == 1_000 + 10_000 + 4_000 + 1_000
