"""Signatures of requests: HMAC-SHA256 from a prepared state, and Ed25519."""

import base64
import hashlib
from typing import Any, Protocol

from hedge.errors import ConfigError

_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class Signer(Protocol):
    """Signs the exact bytes that are sent."""

    def sign(self, payload: bytes) -> str:
        """Return the signature as the venue wants it in text: hex for HMAC, base64 for Ed25519."""
        ...


class HmacSigner:
    """HMAC-SHA256 (RFC 2104) with both padded key blocks hashed once: about 1 us a signature."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: str) -> None:
        key = secret.encode()
        if not key:
            raise ConfigError("the API secret is empty")
        if len(key) > _BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        key = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(key.translate(_INNER_PAD))
        self._outer = hashlib.sha256(key.translate(_OUTER_PAD))

    def sign(self, payload: bytes) -> str:
        """Return 64 lower-case hex digits."""
        inner = self._inner.copy()
        inner.update(payload)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


class Ed25519Signer:
    """Ed25519 (RFC 8032) with a PKCS#8 private key in PEM; needs the ``cryptography`` package.

    Raises `ConfigError` where the package is missing, or the text is no unencrypted Ed25519 key.
    """

    __slots__ = ("_key",)

    def __init__(self, pem: str) -> None:
        self._key: Any = _read_ed25519(pem)

    def sign(self, payload: bytes) -> str:
        """Return the 64 bytes in base64, as Binance takes them (percent-encode in a URL)."""
        return base64.b64encode(self._key.sign(payload)).decode()


def make_signer(secret: str) -> Signer:
    """Return `Ed25519Signer` for a PEM private key, `HmacSigner` for any other secret."""
    return Ed25519Signer(secret) if "-----BEGIN " in secret else HmacSigner(secret)


def _read_ed25519(pem: str) -> Any:
    try:
        # Only for who has such a key: the base install does without the package.
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
            Ed25519PrivateKey,
        )
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
            load_pem_private_key,
        )
    except ImportError as error:
        raise ConfigError("an Ed25519 key needs the package cryptography") from error
    try:
        key = load_pem_private_key(pem.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Neither the text nor the library's words: they could hold a piece of the key.
        raise ConfigError("the private key is no unencrypted PKCS#8 key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"the private key is not Ed25519: {type(key).__name__}")
    return key
