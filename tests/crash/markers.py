"""Keys that occur nowhere else, and what they may look like where they have leaked."""

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus

KEY = "Mark3r-KEY-a+b/c=d&e%f"
SECRET = "Mark3r-SECRET-q\"u'o\\te$x"
OTHERS = ("sim-key", "sim-secret", "toy-key-4711", "toy-secret-0815", "canarycanary")
"""The keys of the other suites: the simulators', the example venue's, the notifiers' tokens."""
PIECES = 12
"""A piece of a key as long as this is a leak too."""
MEANT = frozenset({"secrets", "venue.json"})
"""Where keys are meant to be: the user's secret files, and what the venue is told."""
GIVEN = frozenset({".py", ".pyc", ".toml", ".md"})
"""Where those of the other suites stand by intent: sources, configurations, the manual."""
SHORT = 8
"""An encoded piece of fewer bytes is found by chance."""
PLANTED = "planted"
"""Where the tests of this search hide what it is to find."""
FILES_MIN, BYTES_MIN, KEYS_MIN = 200, 5_000_000, 20
"""A run that leaves less has not run, and to find nothing in it means nothing."""
CHUNK = 1 << 24
SHOWN_BEFORE, SHOWN_AFTER = 90, 30


@cache
def forms(marker: str) -> tuple[bytes, ...]:
    """Return what a marker may look like in a file."""
    texts = {
        marker,
        quote(marker),
        quote(marker, safe=""),
        quote_plus(marker),
        json.dumps(marker)[1:-1],
        repr(marker)[1:-1],
        marker[:PIECES],
        marker[-PIECES:],
    }
    found = {text.encode() for text in texts}
    for coded in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):  # a marker inside a longer text that was encoded
            text = coded(b"\0" * shift + marker.encode())
            found.add(text[4:-4] if shift else text[:-4])
    digits = marker.encode().hex()
    found |= {digits.encode(), digits.upper().encode(), marker.encode("utf-16-le")}
    return tuple(sorted(form for form in found if len(form) >= min(SHORT, len(marker))))


def leaks_in(
    path: Path, chunk_bytes: int = CHUNK, markers: tuple[str, ...] = (KEY, SECRET)
) -> Iterator[str]:
    """Yield each marker that a file holds, with its surroundings; however large the file is."""
    margin = max(len(form) for marker in markers for form in forms(marker))
    told: set[str] = set()
    with path.open("rb") as file:
        before = b""
        while chunk := file.read(chunk_bytes):
            data = before + chunk
            for marker in markers:
                form = next((one for one in forms(marker) if one in data), None)
                if form is not None and marker not in told:
                    told.add(marker)
                    at = data.index(form)
                    shown = data[max(0, at - SHOWN_BEFORE) : at + SHOWN_AFTER]
                    yield f"{path}: {marker[:PIECES]}... in {shown!r}"
            before = data[-margin:]


def files(folder: Path) -> Iterator[Path]:
    """Yield every file below, following no link."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def is_meant(path: Path, folder: Path) -> bool:
    return not MEANT.isdisjoint(path.relative_to(folder).parts)


def sweep(folder: Path) -> Iterable[str]:
    """Search what a whole test run has left; an AssertionError where that is next to nothing."""
    searched = size = keys = 0
    found: list[str] = []
    for path in files(folder):
        if PLANTED in path.relative_to(folder).parts:
            continue
        if is_meant(path, folder):
            keys += KEY.encode() in path.read_bytes()
            continue
        searched += 1
        size += path.stat().st_size
        others = () if path.suffix in GIVEN else OTHERS
        found += leaks_in(path, markers=(KEY, SECRET, *others))
    print(f"searched {searched:,} files, {size:,} bytes, of a run with {keys} keys in it")
    assert searched >= FILES_MIN and size >= BYTES_MIN, "nothing was left to be searched"
    assert keys >= KEYS_MIN, "hardly a key was in use"
    return found


def main() -> int:
    """Say which files of a directory hold a key; exit 1 when there is one."""
    found = list(sweep(Path(sys.argv[1])))
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
