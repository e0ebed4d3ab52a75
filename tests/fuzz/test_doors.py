"""Goal: whatever comes in from outside is understood or refused in one line; nothing else happens.

Method: Hypothesis takes what is welcome at each door and drops, renames, empties, exchanges and
inflates its parts, or breaks its bytes. `guided.py` does it for longer, and looks at the coverage.
"""

import copy
import json

import pytest
from doors import Door, doors, knock
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = tuple(doors())
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "0", "-1", "NaN", "-inf", "sNaN", "1e999999", "1E-999999", "10E99"]),
    st.sampled_from(["null", "0x10", "1_000", " 1", "[]", "{}"]),
    st.sampled_from(["9" * 400, "<html>502</html>", "\x00", "\ud800", "\uff11"]),
    st.sampled_from([[], {}, [[]], [None], {"a": {}}, 10**400, -(10**40), [["1", "2", "3"]]]),
)


def paths(value, at=()):
    """Return the place of every part of a structure."""
    parts = ()
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
    return [at, *(path for key, part in parts for path in paths(part, (*at, key)))]


def changed(value, path, how, odd):
    """Return the structure with one part of it dropped, renamed, doubled or exchanged."""
    if not path:
        return copy.deepcopy(odd) if how == "exchange" else value
    key, *rest = path
    if rest:
        value[key] = changed(value[key], rest, how, odd)
    elif how == "drop":
        del value[key]
    elif how == "rename" and isinstance(value, dict):
        value[f"{key}_"] = value.pop(key)
    elif how == "double" and isinstance(value, list):
        value.append(value[key])
    else:
        value[key] = copy.deepcopy(odd)
    return value


@st.composite
def mutants(draw, door: Door):
    """Draw something that is almost welcome."""
    data = draw(st.sampled_from(door.welcome))
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if value is not None and draw(st.integers(0, 4)):
        for _ in range(draw(st.integers(1, 3))):
            path = draw(st.sampled_from(paths(value)))
            how = draw(st.sampled_from(["drop", "rename", "double", "exchange", "exchange"]))
            value = changed(value, path, how, draw(ODD))
            if not isinstance(value, dict | list):
                break
        return json.dumps(value).encode("utf-8", "surrogatepass")
    broken = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(broken)))
        length = draw(st.sampled_from([0, 0, 1, 1, 7, 60]))
        broken[at : at + length] = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"\xff", b"[", b"=", b"\n", b"9" * 99])
        )
    return bytes(broken)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_welcome_comes_in(name):
    door = doors()[name]
    assert all(knock(door, data) for data in door.welcome)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_knocks_is_let_in_or_refused_in_one_line(name):
    door = doors()[name]

    @settings(max_examples=100, deadline=None)
    @given(mutants(door))
    def try_it(data):
        knock(door, data)

    try_it()


BOOK = (
    b'{"topic": "orderbook.1.BTCUSDT", "type": "snapshot", "ts": 1700000000000,'
    b' "data": {"s": "BTCUSDT", "b": [["1", "2"]], "a": [["%b", "%b"]], "u": 1, "seq": 2}}'
)
FOUND = [("bybit public", BOOK % level) for level in ((b"2", b"SNAN"), (b"SNAN", b"3"))]


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_once_broke_in_is_refused(name, data):
    assert not knock(doors()[name], data)
