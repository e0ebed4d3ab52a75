"""``[venues.binance]``: hosts by environment, and nothing but loopback where it says local.

Goal: no order of a test environment can reach another one. Method: settings good and bad.
"""

import pytest
from pydantic import ValidationError

from hedge_binance.config import HOSTS, BinanceSettings


@pytest.mark.parametrize("environment", ["live", "testnet", "demo"])
def test_each_environment_has_its_hosts(environment):
    assert BinanceSettings(environment=environment).hosts == HOSTS[environment]
    others = {url for name, hosts in HOSTS.items() if name == "live" for url in hosts}
    if environment != "live":
        assert not others & set(HOSTS[environment])


def test_a_host_may_be_replaced():
    settings = BinanceSettings(spot_url="https://api1.binance.com/")
    assert settings.hosts.spot_url == "https://api1.binance.com"
    assert settings.hosts.futures_url == HOSTS["live"].futures_url


def test_local_servers_speak_both_on_one_port():
    settings = BinanceSettings(
        environment="local",
        spot_url="http://127.0.0.1:9001",
        futures_url="http://localhost:9003/",
        futures_stream_url="ws://[::1]:9004",
    )
    hosts = settings.hosts
    assert hosts.spot_ws_url == "ws://127.0.0.1:9001/ws-api/v3"
    assert hosts.spot_stream_url == "ws://127.0.0.1:9001"
    assert hosts.futures_ws_url == "ws://localhost:9003/ws-fapi/v1"
    assert hosts.futures_stream_url == "ws://[::1]:9004"


def test_a_leg_that_is_not_configured_has_no_url():
    hosts = BinanceSettings(environment="local", spot_url="http://127.0.0.1:1").hosts
    assert hosts.futures_url == hosts.futures_ws_url == hosts.futures_stream_url == ""


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"environment": "local"}, "needs"),
        ({"environment": "local", "spot_url": "http://10.0.0.1:1"}, "loopback"),
        ({"environment": "local", "spot_url": "https://api.binance.com"}, "loopback"),
        (
            {
                "environment": "local",
                "spot_url": "http://127.0.0.1:1",
                "spot_ws_url": "wss://ws-api.binance.com/ws-api/v3",
            },
            "loopback",
        ),
        ({"spot_url": "ftp://x"}, "http or ws"),
        ({"spoturl": "x"}, "spoturl"),
        ({"environment": "moon"}, "environment"),
        ({"recv_window_ms": 70_000}, "recv_window_ms"),
        ({"multipliers": {"1000X": 0}}, "multipliers"),
        ({"multipliers": {"NOVEL": 1000}}, "does not begin"),
    ],
)
def test_what_is_not_taken(given, word):
    with pytest.raises(ValidationError, match=word):
        BinanceSettings.model_validate(given)
