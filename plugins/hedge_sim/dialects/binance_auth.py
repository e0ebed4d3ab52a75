"""Who asks: keys, signatures (HMAC-SHA-256, Ed25519), the time window, and what a key may do.

Sources: binance-spot-api-docs ``rest-api.md`` "Request security" and ``web-socket-api.md``
"SIGNED request security". A REST signature covers the query and the body as they were sent; that
of the WebSocket API covers the parameters sorted by name.
"""

import base64
import binascii
import enum
import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import unquote

import msgspec

from hedge.errors import ConfigError
from hedge.model import Leg
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects.binance_params import Params
from hedge_sim.dialects.server import Keys

AHEAD_MAX_MS = 1_000
WINDOW_MS = 5_000
WINDOW_MAX_MS = 60_000
KEY_CHARS_MAX = 128
SIGNATURE = "signature"


class Security(enum.Enum):
    """What a request needs."""

    NONE = "none"
    KEY = "key"
    """The header X-MBX-APIKEY and no signature (listenKey)."""
    SIGNED = "signed"
    TRADE = "trade"
    """Signed, by a key that may trade."""


class Guard:
    """Checks requests against the one key of the account."""

    def __init__(self, keys: Keys, leg: Leg) -> None:
        self.keys = keys
        self.may_trade = keys.may_trade(leg)
        self._is_right = _ed25519(keys.public_key) if keys.public_key else None

    @property
    def has_ed25519(self) -> bool:
        return self._is_right is not None

    def check_key(self, api_key: str, security: Security) -> None:
        """Raise for a key that is not ours, or may not do this."""
        if security is Security.NONE:
            return
        if not api_key or len(api_key) > KEY_CHARS_MAX:
            raise says.bad_key_format()
        if api_key != self.keys.api_key:
            raise says.bad_key()
        if security is Security.TRADE and not self.may_trade:
            raise says.bad_key()

    def check_signature(self, payload: str, signature: str) -> None:
        """Raise where the signature is not that of the payload."""
        if self._is_right is None:
            right = hmac.new(self.keys.api_secret.encode(), payload.encode(), hashlib.sha256)
            if not hmac.compare_digest(right.hexdigest().encode(), signature.lower().encode()):
                raise says.bad_signature()
            return
        try:
            sealed = base64.b64decode(unquote(signature))
        except (binascii.Error, ValueError) as error:
            raise says.bad_signature() from error
        if not self._is_right(sealed, payload.encode()):
            raise says.bad_signature()

    def check_time(self, params: Params, now_ms: int) -> None:
        """Raise for a timestamp outside (now - recvWindow, now + 1 s)."""
        stamp = params.integer("timestamp")
        window = params.integer("recvWindow", WINDOW_MS)
        if window > WINDOW_MAX_MS:
            raise says.BinanceError(-1131, "recvWindow must be less than 60000")
        if stamp >= now_ms + AHEAD_MAX_MS:
            raise says.early_timestamp()
        if now_ms - stamp > window:
            raise says.late_timestamp()


def _ed25519(pem: str) -> Callable[[bytes, bytes], bool]:
    # Only such a key needs the package.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_public_key,
    )

    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise ConfigError(f"the public key is no PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("the public key is not an Ed25519 key")

    def is_right(sealed: bytes, payload: bytes) -> bool:
        try:
            key.verify(sealed, payload)
        except InvalidSignature:
            return False
        return True

    return is_right


class Signed(msgspec.Struct, frozen=True):
    """What a REST request was signed over, and with what."""

    payload: str
    signature: str


def signed_of(query: str, body: str) -> Signed:
    """Take the signature out of query and body; raise where there is none."""
    found = ""
    parts = []
    for text in (query, body):
        words = text.split("&") if text else []
        kept = []
        for word in words:
            name, _, value = word.partition("=")
            if name == SIGNATURE:
                found = value
            else:
                kept.append(word)
        parts.append("&".join(kept))
    if not found:
        raise says.missing_parameter(SIGNATURE)
    return Signed("".join(parts), found)


def payload_of(params: Params) -> str:
    """Return what a WebSocket request is signed over."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != SIGNATURE)
