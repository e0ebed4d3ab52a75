"""Goal: a package that `hedge plugins new` wrote, and a whole third party's, install and are found.

Method: pip, into an environment of their own that sees this one's packages; then the commands of
the page on writing plugins, in an empty directory.
"""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "example_plugin"
FILES_MAX = 4


class Environment:
    """A Python of its own in an empty folder; it sees what is installed here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=60
        )
        self.python = folder / "venv" / "bin" / "python"
        (self.site,) = (folder / "venv").glob("lib/python*/site-packages")
        ours = sysconfig.get_paths()["purelib"]
        (self.site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        return subprocess.run(
            [self.python, "-m", *words],
            cwd=self.folder,
            env={**kept, "HOME": str(self.folder), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    def hedge(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("hedge.cli.main", *words)

    def install(self, *words: str | Path) -> None:
        done = self.run(
            "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index",
            "--no-build-isolation", *words,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("away"))


def test_a_new_venue_is_found_and_fails_with_a_list_of_what_to_write(
    environment: Environment,
) -> None:
    done = environment.hedge("plugins", "new", "venue", "acme")
    assert done.returncode == 0, done.stderr
    assert 1 < len(done.stdout.splitlines()) <= FILES_MAX
    assert "pip install -e ./hedge-acme" in done.stderr
    environment.install("-e", "./hedge-acme")
    listed = environment.hedge("plugins", "list").stdout
    assert re.search(r"^acme +hedge-acme +0\.1\.0 +not allowed$", listed, re.MULTILINE), listed
    done = environment.run("pytest", "-p", "no:cacheprovider", "--hedge-venue=acme")
    assert done.returncode == 1, done.stdout + done.stderr
    text = done.stdout + done.stderr
    assert "Traceback" not in text and "core/hedge" not in text
    _, _, missing = text.partition(" acme: missing ")
    lines = re.findall(r"^.* yet\b.*$", missing.partition("short test summary")[0], re.MULTILINE)
    assert len(lines) == len(set(lines)) > 10
    assert all(
        re.search(r"(is not written|does not know the switch \w+) yet", one) for one in lines
    )
    assert any(
        "Feed.read_instrument is not written yet (hedge_acme/plugin.py:" in one for one in lines
    )


def test_a_new_notifier_is_found_and_says_what_to_write(environment: Environment) -> None:
    done = environment.hedge("plugins", "new", "notifier", "pager")
    assert done.returncode == 0, done.stderr
    environment.install("-e", "./hedge-pager")
    config = environment.folder / "hedge.toml"
    config.write_text('[notifiers.phone]\nplugin = "pager"\n')
    config.chmod(0o600)
    done = environment.hedge("notify", "test")
    assert done.returncode != 0
    assert "plugin pager (hedge-pager 0.1.0) is not allowed" in done.stdout + done.stderr
    done = environment.hedge("plugins", "allow", "pager")
    assert done.returncode == 0, done.stderr
    assert "unpinned" in done.stderr
    done = environment.hedge("notify", "test")
    assert "pager: send is not written yet: say alert.text" in done.stdout, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    config.unlink()


def test_a_third_party_installed_as_a_wheel_is_trusted_and_locked(environment: Environment) -> None:
    environment.install(EXAMPLE)
    config = environment.folder / "hedge.toml"
    config.write_text("[run]\ntick_ms = 500  # kept\n")
    config.chmod(0o600)
    done = environment.hedge("plugins", "allow", "toy")
    assert done.returncode == 0, done.stderr
    assert "tick_ms = 500  # kept" in config.read_text()
    assert environment.hedge("plugins", "check", "toy").returncode == 0
    words = ("-p", "no:cacheprovider", "--hedge-venue=toy", "--hedge-card=instruments.")
    done = environment.run("pytest", *words)
    assert done.returncode == 0, done.stdout
    (file,) = environment.site.glob("hedge_toy/plugin.py")
    file.write_text(file.read_text() + "\n# more\n")
    words = ("run", "--spot", "sim", "--futures", "toy", "--symbol", "BTC/USDT", "--usd", "100")
    done = environment.hedge(*words)
    assert done.returncode == 9, done.stdout + done.stderr
    assert done.stderr.endswith("if that is meant: hedge plugins allow toy\n")
    assert len(done.stderr.splitlines()) == 1


def test_the_pytest_plugin_costs_nothing_where_nobody_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import sys\n\n\n"
        "def test_own():\n"
        "    assert 'hedge.testing.pytest_plugin' in sys.modules\n"
        "    heavy = {'msgspec', 'pydantic', 'hedge.model', 'hedge.testing.cards'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
