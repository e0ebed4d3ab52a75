"""Goal: signatures are those of the standards, and a key never appears in an error.
Method: the published vectors of RFC 4231 and RFC 8032, and the standard library on random input.
"""

import base64
import hashlib
import hmac
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import ConfigError
from hedge.transport import Ed25519Signer, HmacSigner, make_signer

RFC_4231 = [
    (
        "Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        "\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
]


@pytest.mark.parametrize(("key", "payload", "digest"), RFC_4231)
def test_hmac_is_that_of_the_standard(key, payload, digest):
    signer = HmacSigner(key)
    assert [signer.sign(payload) for _ in range(3)] == [digest] * 3


@given(secret=st.text(min_size=1, max_size=200), payload=st.binary(max_size=300))
def test_hmac_is_that_of_the_library_for_keys_of_every_length(secret, payload):
    expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    assert HmacSigner(secret).sign(payload) == expected


def test_an_empty_secret_is_refused():
    with pytest.raises(ConfigError, match="empty"):
        HmacSigner("")


def pem_of(seed):
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    from cryptography.hazmat.primitives import serialization as s

    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()


@pytest.mark.parametrize("mangled", [str, lambda t: t.replace("\n", "\r\n"), lambda t: f"\n{t}\n"])
def test_ed25519_is_that_of_the_standard_however_the_lines_end(mangled):
    # RFC 8032, section 7.1, test 3
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    signed = (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    signer = make_signer(mangled(pem_of(seed)))
    assert isinstance(signer, Ed25519Signer)
    assert base64.b64decode(signer.sign(b"\xaf\x82")).hex() == signed


def test_what_is_no_key_is_refused_without_showing_it():
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    head, tail = "-----BEGIN PRIVATE KEY-----\n", "\n-----END PRIVATE KEY-----\n"
    with pytest.raises(ConfigError) as broken:
        make_signer(f"{head}c2VjcmV0IHNlY3JldCBzZWNyZXQ={tail}")
    assert "c2Vj" not in str(broken.value) and broken.value.__cause__ is None
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()
    )
    with pytest.raises(ConfigError, match="not Ed25519"):
        make_signer(other.decode())


def test_a_signer_shows_no_secret():
    assert "hunter2" not in repr(HmacSigner("hunter2"))


def test_cryptography_is_loaded_only_for_who_has_such_a_key_and_picows_only_for_who_connects():
    code = (
        "import sys, hedge, hedge.roles\n"
        "assert 'picows' not in sys.modules and 'h11' not in sys.modules\n"
        "import hedge.transport\n"
        "hedge.transport.make_signer('a secret').sign(b'x')\n"
        "assert 'cryptography' not in sys.modules\n"
        "assert 'aiohttp' not in sys.modules and 'hedge.runtime' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_face_is_sorted_and_whole():
    import hedge.transport as face

    assert face.__all__ == sorted(face.__all__)
    assert all(hasattr(face, name) for name in face.__all__)
