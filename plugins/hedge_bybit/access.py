"""One API key: what it signs, and how a request says who asks."""

from collections.abc import Mapping

import msgspec

from hedge.errors import ConfigError
from hedge.transport import HmacSigner

AUTH_LIFE_MS = 10_000
"""How long a socket's auth message is good for; it must outlive the clocks' difference."""


class Access:
    """The key of one account (HMAC-SHA256, docs/v5/guide, docs/v5/ws/connect)."""

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self.secret = secret
        self._signer = HmacSigner(secret)

    @classmethod
    def of(cls, secrets: Mapping[str, str], account: str) -> "Access":
        """Return the key of an account; raise `ConfigError` with what is missing."""
        missing = [name for name in ("api_key", "api_secret") if not secrets.get(name)]
        if missing:
            also = ""
            if secrets.get("private_key"):
                also = "; RSA keys of Bybit are not supported: make a system-generated key"
            raise ConfigError(f"bybit: accounts.{account}.{missing[0]} is not set{also}")
        return cls(secrets["api_key"], secrets["api_secret"])

    def headers(self, timestamp_ms: int, recv_window_ms: int, payload: str) -> dict[str, str]:
        """Return the headers of a REST request; ``payload`` is its query, or its body."""
        signed = f"{timestamp_ms}{self.key}{recv_window_ms}{payload}"
        return {
            "Content-Type": "application/json",
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-SIGN": self._signer.sign(signed.encode()),
            "X-BAPI-SIGN-TYPE": "2",
            "X-BAPI-TIMESTAMP": str(timestamp_ms),
            "X-BAPI-RECV-WINDOW": str(recv_window_ms),
        }

    def auth(self, now_ms: int, call_id: str, *, id_name: str) -> bytes:
        """Return the first message of a private socket; ``id_name`` is req_id, of trade reqId."""
        expires = now_ms + AUTH_LIFE_MS
        signature = self._signer.sign(f"GET/realtime{expires}".encode())
        return msgspec.json.encode(
            {id_name: call_id, "op": "auth", "args": [self.key, expires, signature]}
        )
