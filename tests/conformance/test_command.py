"""Goal: ``pytest --hedge-venue=NAME`` is all that an author needs, from the first file on.

Method: real pytest processes in folders without a test, on installed packages.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench import install, lay_down

from hedge.cli.plugins_new import write_package
from hedge.errors import UsageError
from hedge.testing import all_cards

ASK_PAGER = """
from hedge.plugins import load_plugins
from hedge.roles import NotifierContext

host = load_plugins(allow=["hedge-pager==0.1.0"])
print(host.notifier("pager", NotifierContext(settings=None, clock=None))[1])
"""


def kit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest where there is nothing but the package."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_new_package_is_found_and_fails_with_a_list_of_what_to_write(tmp_path):
    files = write_package("venue", "acme", tmp_path)
    assert len(files) <= 4 and all(file.exists() for file in files)
    target = lay_down(tmp_path / "hedge-acme", tmp_path / "site")
    done = kit(target, "--hedge-venue=acme", "--hedge-card=o")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "acme: Feed.read_instrument is not written yet" in done.stdout
    assert "acme: Feed.listen is not written yet" in done.stdout
    assert "Traceback" not in done.stdout and "core/hedge" not in done.stdout
    seen = re.findall(r"^  saw: .*$", done.stdout, re.MULTILINE)
    assert len(seen) > 40 and all(len(line) < 400 for line in seen)


def test_a_new_notifier_answers_its_hook(tmp_path):
    files = write_package("notifier", "pager", tmp_path)
    assert len(files) <= 4
    target = lay_down(tmp_path / "hedge-pager", tmp_path / "site")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            ASK_PAGER,
        ],
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "pager (hedge-pager 0.1.0)", done.stderr


@pytest.mark.parametrize("name", ["Acme", "a-b", "", "1st", "../x"])
def test_a_name_that_is_no_word_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="name"):
        write_package("venue", name, tmp_path)


@pytest.mark.parametrize("name", ["telegram", "binance", "engine"])
def test_a_name_that_is_installed_already_is_refused(tmp_path, name):
    """Neither of two plugins of a name loads; hedge-engine would be installed over hedge itself."""
    with pytest.raises(UsageError, match=f"'{name}' is taken by hedge-engine"):
        write_package("notifier", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path):
    write_package("venue", "acme", tmp_path)
    with pytest.raises(UsageError, match="already"):
        write_package("venue", "acme", tmp_path)
    with pytest.raises(UsageError, match="kind"):
        write_package("broker", "acme", tmp_path)


def test_skips_are_listed_with_their_reason_and_cards_can_be_chosen(tmp_path):
    done = kit(tmp_path, "--hedge-venue=sim", "--hedge-card=account.")
    assert done.returncode == 0, done.stdout
    assert "key_withdraws: the simulated venue takes any key" in done.stdout
    count = sum("account." in card.title for card in all_cards())
    assert f"{count - 2} passed, 2 skipped" in done.stdout


def test_without_a_testbed_it_says_what_to_add(tmp_path):
    target = install(tmp_path)
    (points,) = target.glob("*.dist-info/entry_points.txt")
    points.write_text(points.read_text().partition("[hedge.testbeds]")[0])
    done = kit(target, "--hedge-venue=toy", "--hedge-card=orders.gtc")
    assert done.returncode == 1
    assert 'no testbed: add [project.entry-points."hedge.testbeds"] toy' in done.stdout


def test_an_unknown_venue_is_one_sentence(tmp_path):
    done = kit(tmp_path, "--hedge-venue=nowhere", "--hedge-card=market.up")
    assert done.returncode == 1
    assert "no plugin serves 'nowhere'" in done.stdout and "Traceback" not in done.stdout


@pytest.fixture
def exchange(tmp_path):
    target = install(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "hedge_toy.testing.exchange", "--for-s", "60"],
        env={**os.environ, "PYTHONPATH": str(target)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield target, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_the_real_venue_is_asked_at_level_public_and_testnet(exchange, monkeypatch):
    target, url = exchange
    words = (f"--hedge-setting=url={url}", "--hedge-venue=toy")
    done = kit(target, "--hedge-level=public", *words)
    assert done.returncode == 0, done.stdout
    assert "needs an account; the level is public" in done.stdout
    count = sum(not card.trades and not card.needs for card in all_cards())
    assert f"{count} passed, {len(all_cards()) - count} skipped" in done.stdout
    monkeypatch.setenv("HEDGE_KIT_API_KEY", "toy-key-4711")
    monkeypatch.setenv("HEDGE_KIT_API_SECRET", "toy-secret-0815")
    done = kit(target, "--hedge-level=testnet", "--hedge-card=account.", *words)
    assert done.returncode == 0, done.stdout
    done = kit(target, "--hedge-level=testnet", "--hedge-card=ambiguity.reply_lost", *words)
    assert "needs the switches of a testbed; the level is testnet" in done.stdout
