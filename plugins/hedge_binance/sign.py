"""The account's key: who it is, what it signs with, and the form in which the SDK takes it.

Binance signs a WebSocket request over its parameters sorted by name (``name=value`` joined by
``&``), a REST request over the query string as it is sent; sources: "SIGNED request security" of
the official WebSocket API and REST pages.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple

from hedge.errors import ConfigError
from hedge.transport import Ed25519Signer, HmacSigner, Signer

_PEM = "-----BEGIN"
_LABEL = "PRIVATE KEY"
_LINE = 64


class Key(NamedTuple):
    """One API key; ``pem`` is empty for an HMAC key, ``secret`` for an Ed25519 one."""

    api_key: str
    signer: Signer
    secret: str = ""
    pem: str = ""

    def __repr__(self) -> str:
        return "Key(***)"


def key_of(secrets: Mapping[str, str], account: str) -> Key:
    """Return the key of an account's secrets; raise `ConfigError` naming what is missing.

    ``private_key`` (Ed25519) is a PEM with any line ends, or the base64 of its PKCS 8 form in one
    line, as a one-line secret file holds it; without it ``api_secret`` is an HMAC secret.
    """
    api_key = secrets.get("api_key", "").strip()
    if not api_key:
        raise ConfigError(f"binance: accounts.{account}.api_key is not set")
    private = secrets.get("private_key", "").strip()
    if private:
        pem = canonical_pem(private)
        return Key(api_key, Ed25519Signer(pem), pem=pem)
    secret = secrets.get("api_secret", "").strip()
    if not secret:
        raise ConfigError(f"binance: accounts.{account}: neither api_secret nor private_key is set")
    return Key(api_key, HmacSigner(secret), secret=secret)


def canonical_pem(text: str) -> str:
    """Return the private key as a PEM with LF and without comments.

    python-binance takes a text longer than 120 characters for an RSA key
    (``base_client.py _init_private_key``), and an Ed25519 PEM with CRLF is longer.
    """
    lines = [line.strip() for line in text.splitlines()]
    if any(line.startswith(_PEM) for line in lines):
        begin = next(n for n, line in enumerate(lines) if line.startswith(_PEM))
        lines = [line for line in lines[begin + 1 :] if line and not line.startswith("-----")]
    body = "".join(lines)
    try:
        base64.b64decode(body, validate=True)
    except binascii.Error:
        raise ConfigError(
            "binance: private_key is neither a PEM nor the base64 of a PKCS 8 key"
        ) from None
    wrapped = "\n".join(body[at : at + _LINE] for at in range(0, len(body), _LINE))
    return f"{_PEM} {_LABEL}-----\n{wrapped}\n-----END {_LABEL}-----"
