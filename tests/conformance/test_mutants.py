"""Goal: each card hurts: a fault planted in the example makes it fail.

Method: the example is installed once for each mutant, under a name of its own, with one text of it
replaced; all of them run side by side, and every card that a mutant names must fail on it.
"""

import asyncio
import shutil
from pathlib import Path

import pytest
from bench import ALONE, AT_ONCE, EXAMPLE, Result, installed, result_of
from mutants import MUTANTS, WITHOUT, Mutant

from hedge.testing import Stand, all_cards

PATIENCE_S = 3.0
"""How long a card waits on a mutant: what is told at all by the example is told within this."""
UNTRUE = f"a usable quote was not told within {PATIENCE_S:g} s"
"""A reason that is none: no mutant keeps its quotes to itself; the machine was too slow."""
CARDS = {card.title: card for card in all_cards()}


def plant(mutant: Mutant, number: int, target: Path) -> str:
    """Install the mutant as a package and a venue of its own; return the venue's name."""
    module, venue = f"hedge_toy_{number}", f"toy{number}"
    ignored = shutil.ignore_patterns("__pycache__")
    package = shutil.copytree(EXAMPLE / "hedge_toy", target / module, ignore=ignored)
    path = Path(package) / mutant.file
    text = path.read_text()
    for old, new in mutant.changes:
        assert old in text, f"{mutant.cards}: {old!r} is not in {mutant.file}"
        text = text.replace(old, new)
    path.write_text(text)
    for file in Path(package).rglob("*.py"):
        text = file.read_text().replace("hedge_toy", module)
        text = text.replace('VENUE = "toy"', f'VENUE = "{venue}"')
        file.write_text(text.replace('venue="toy"', f'venue="{venue}"'))
    info = target / f"{module}-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.3\nName: {module.replace('_', '-')}\nVersion: 1.0.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[hedge]\n{venue} = {module}.plugin:hooks\n"
        f"[hedge.testbeds]\n{venue} = {module}.testing:testbed\n"
    )
    return venue


def test_every_card_has_a_mutant():
    named = {card for mutant in MUTANTS for card in mutant.cards}
    assert named | WITHOUT == set(CARDS)
    assert not named & WITHOUT


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_every_mutant_is_caught(tmp_path):
    runs = [
        (card, Stand(venue=plant(mutant, number, tmp_path), patience_s=PATIENCE_S))
        for number, mutant in enumerate(MUTANTS)
        for card in (CARDS[title] for title in mutant.cards[:1])
    ]
    more = [
        (CARDS[title], Stand(venue=f"toy{number}", patience_s=PATIENCE_S))
        for number, mutant in enumerate(MUTANTS)
        for title in mutant.cards[1:]
    ]
    with installed(tmp_path):
        results = play_all([*runs, *more])
    survived = [one for one in results if one.word != "failed"]
    assert not survived, survived
    slow = [one for one in results if one.why.endswith(UNTRUE)]
    assert not slow, slow


def play_all(runs: list[tuple[object, Stand]]) -> list[Result]:
    async def main() -> list[Result]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(card, stand) -> Result:
            async with slots:
                return await result_of(card, stand)

        side_by_side = [run for run in runs if run[0].group not in ALONE]
        return list(await asyncio.gather(*(one(*run) for run in side_by_side)))

    found = asyncio.run(main())
    return found + [asyncio.run(result_of(*run)) for run in runs if run[0].group in ALONE]
