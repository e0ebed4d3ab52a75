"""Runs the kit inside a test: many cards at once on one loop, on an installed or mutated toy."""

import asyncio
import contextlib
import shutil
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hedge.errors import HedgeError
from hedge.testing import Card, Failed, Group, Lacking, Stand, all_cards
from hedge.testing.run import played, why_skipped

EXAMPLE = Path(__file__).parents[1] / "example_plugin"
WILD = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What a broken plugin may let out."""
AT_ONCE = 10
"""Cards wait more than they work."""
ALONE = {Group.HYGIENE}
"""These look at the whole process: its loop, its tasks, its terminal."""


@dataclass(frozen=True)
class Result:
    card: str
    word: str
    """ok, skipped or failed"""
    why: str = ""


def lay_down(source: Path, target: Path) -> Path:
    """Unpack a package and its metadata, which is what installing a wheel comes to."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    module = name.replace("-", "_")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source / module, target / module, ignore=ignored)
    info = target / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.3\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return target


def install(target: Path) -> Path:
    """Install the example."""
    return lay_down(EXAMPLE, target)


@contextlib.contextmanager
def installed(target: Path, module: str = "hedge_toy") -> Iterator[None]:
    """Have the folder first on the path, and nothing of it imported before or after."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == module]:
            del sys.modules[name]

    forget()
    sys.path.insert(0, str(target))
    try:
        yield
    finally:
        sys.path.remove(str(target))
        forget()


async def result_of(card: Card, stand: Stand) -> Result:
    reason = why_skipped(card, stand)
    if reason:
        return Result(card.title, "skipped", reason)
    try:
        await played(card, stand)
    except Lacking as lacking:
        return Result(card.title, "skipped", str(lacking))
    except (Failed, HedgeError, msgspec.MsgspecError, *WILD) as error:
        return Result(card.title, "failed", f"{type(error).__name__}: {error}")
    return Result(card.title, "ok")


def run_kit(
    stand: Stand, titles: Iterable[str] | None = None, at_once: int = AT_ONCE
) -> list[Result]:
    """Run the cards (None: all): most of them side by side, those of `ALONE` one by one."""
    wanted = None if titles is None else set(titles)
    cards = [card for card in all_cards() if wanted is None or card.title in wanted]

    async def main() -> list[Result]:
        slots = asyncio.Semaphore(at_once)

        async def one(card: Card) -> Result:
            async with slots:
                return await result_of(card, stand)

        together = [card for card in cards if card.group not in ALONE]
        return list(await asyncio.gather(*map(one, together)))

    found = asyncio.run(main())
    found += [asyncio.run(result_of(card, stand)) for card in cards if card.group in ALONE]
    return found


def failed(results: Iterable[Result]) -> dict[str, str]:
    return {one.card: one.why for one in results if one.word == "failed"}
