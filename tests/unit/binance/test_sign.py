"""Our signatures against those the venue has published, and the forms a key comes in.

Goal: an HMAC and an Ed25519 key sign exactly as the official pages show. Method: the published
example keys, payloads and signatures (they open no account).
"""

import base64

import pytest

from hedge.errors import ConfigError
from hedge_binance.sign import canonical_pem, key_of

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ED25519 = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u"
"""The example key of the official FIX page, section "How to sign Logon request"."""


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        pytest.param(
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
            "&recvWindow=5000&timestamp=1499827319559",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
            id="rest-api.md: body or query",
        ),
        pytest.param(
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTCquantity=1&price=0.1"
            "&recvWindow=5000&timestamp=1499827319559",
            "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77",
            id="rest-api.md: query and body",
        ),
        pytest.param(
            f"apiKey={API_KEY}&newOrderRespType=ACK&price=52000.00&quantity=0.01000000"
            "&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC&timestamp=1645423376532"
            "&type=LIMIT",
            "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a",
            id="web-socket-api.md",
        ),
    ],
)
def test_hmac_signs_as_published(payload, signature):
    key = key_of({"api_key": API_KEY, "api_secret": SECRET}, "mine")
    assert key.signer.sign(payload.encode()) == signature


def test_ed25519_signs_as_published():
    key = key_of({"api_key": "k", "private_key": ED25519}, "mine")
    logon = "A\x01EXAMPLE\x01SPOT\x011\x0120240627-11:17:25.223"
    assert key.signer.sign(logon.encode()) == (
        "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA=="
    )


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(ED25519, id="one line"),
        pytest.param(canonical_pem(ED25519), id="pem"),
        pytest.param(canonical_pem(ED25519).replace("\n", "\r\n") + "\r\n", id="crlf"),
        pytest.param("# my key\n" + canonical_pem(ED25519) + "\n\n", id="comment"),
    ],
)
def test_a_key_is_one_key_however_it_is_written(written):
    """python-binance would take the longer forms for RSA keys."""
    key = key_of({"api_key": "k", "private_key": written}, "mine")
    assert key.pem == canonical_pem(ED25519)
    assert len(key.pem) <= 120
    assert base64.b64decode(key.signer.sign(b"x"))


@pytest.mark.parametrize(
    ("secrets", "word"),
    [
        ({}, "api_key"),
        ({"api_key": "k"}, "api_secret"),
        ({"api_key": "k", "private_key": "no base64 !"}, "private_key"),
        ({"api_key": "k", "private_key": base64.b64encode(b"x" * 32).decode()}, "private key"),
    ],
)
def test_a_key_that_is_none_is_named_and_never_quoted(secrets, word):
    with pytest.raises(ConfigError, match=word) as caught:
        key_of(secrets, "mine")
    for value in secrets.values():
        assert len(value) < 3 or value not in str(caught.value)
