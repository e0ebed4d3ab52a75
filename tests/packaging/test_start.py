"""Goal: the start is light, and bad input is one clear line with the code of product.md.

Method: the real program in an empty directory with an environment of its own: in a subprocess for
what the start imports and how it ends, by `main` itself for the table of bad lines.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hedge.cli.lazy import TABLE
from hedge.cli.main import main

HEAVY = (
    "ccxt", "binance", "pybit", "rich", "pydantic", "pydantic_settings", "polars", "structlog",
    "msgspec", "asyncio", "pluggy", "starlette", "uvicorn", "picows", "prometheus_client",
)  # fmt: skip
LINE = ("run", "--spot", "sim", "--futures", "sim", "--symbol", "BTC/USDT")
SIM = '[hedges.btc]\nspot = "sim"\nfutures = "sim"\nsymbol = "BTC/USDT"\nusd = "10000"\n'


def python(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    base = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**base, "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def hedge(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "hedge.cli.main", *arguments, **environ)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in an empty directory with an empty environment; undo what `main` sets."""
    for name in [name for name in os.environ if name.startswith(("HEDGE", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    before = os.umask(0o077)
    yield tmp_path
    os.umask(before)


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, hedge.cli.main; code = hedge.cli.main.main(['--help'])\n"
        f"heavy = sorted({set(HEAVY)!r} & set(sys.modules)); print(heavy, file=sys.stderr)\n"
        "print('typer' in sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = python(tmp_path, "-c", code)
    assert (done.returncode, done.stderr) == (0, "[]\nFalse\n")
    assert all(f"  {name} " in done.stdout for name in TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_help_of_every_command_stays_light(tmp_path: Path, name: str) -> None:
    code = (
        f"import sys, hedge.cli.main; code = hedge.cli.main.main([{name!r}, '--help'])\n"
        "heavy = {'ccxt', 'binance', 'pybit', 'rich', 'pydantic', 'polars', 'structlog'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = python(tmp_path, "-c", code)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert done.stdout.startswith(f"Usage: hedge {name}")


BAD_LINES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no command": (("staus",), 2, "no command 'staus'; nearest: status"),
    "no such option": (("run", "--bogus"), 2, "No such option: --bogus"),
    "no value": (("run", "--usd"), 2, "requires an argument"),
    "nothing to run": (("run",), 2, "nothing to run"),
    "half a line": (("run", "--spot", "sim"), 2, "--futures, --symbol missing"),
    "no target": (LINE, 2, "no target"),
    "nan": ((*LINE, "--usd", "NaN"), 2, "not a finite number"),
    "negative": ((*LINE, "--usd=-5"), 2, "greater than 0"),
    "action": ((*LINE, "--usd", "1", "--action", "buy"), 2, "hedges.btc-usdt-sim-sim.action"),
    "add": ((*LINE, "--usd", "1", "--add", '{"acton": "single"}'), 2, 'nearest: "action"'),
    "add twice": ((*LINE, "--usd", "1", "--add", "{}", "--add", "{}"), 2, "--add stands twice"),
    "enter": ((*LINE, "--usd", "1", "--enter", "later"), 2, "--enter: 'later' is none of now"),
    "log": ((*LINE, "--usd", "1", "--log", "xml"), 2, "--log: 'xml' is none of json, plain"),
    "adopt": ((*LINE, "--usd", "1", "--adopt", "-1"), 2, "--adopt: '-1' is not above 0"),
    "request id": ((*LINE, "--usd", "1", "--request-id", "a b"), 2, "--request-id"),
    "live testnet": ((*LINE, "--usd", "1", "--live", "--testnet"), 2, "exclude each other"),
    "no file": (("config", "show", "--config", "none.toml"), 3, "cannot be read"),
    "venue name": (
        ("run", "--spot", "SIM", "--futures", "sim", "--symbol", "A/B", "--usd", "1"), 2,
        "'SIM' is no venue",
    ),
    "unknown venue": (
        ("run", "--spot", "simm", "--futures", "sim", "--symbol", "A/B", "--usd", "1"), 9,
        "no plugin serves 'simm'; nearest: sim",
    ),
    "state": ((*LINE, "--usd", "1", "--state-dir", "/proc/none"), 12, "cannot be written"),
    "journal": (("journal", "check"), 12, "no journal in"),
    "journal name": (("journal", "check", "btc"), 2, "no hedge 'btc'"),
    "subcommand": (("journal", "chek"), 2, "Did you mean 'check'"),
    "init": (("init", "--symbol", "nonsense"), 2, "is no symbol"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LINES)
@pytest.mark.usefixtures("program")
def test_a_bad_line_is_one_clear_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, code, words = BAD_LINES[case]
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert words in err
    assert len(err.splitlines()) == 1
    assert err.startswith("hedge: ")
    assert out == ""


@pytest.mark.parametrize("case", ["no command", "add", "state"])
def test_the_same_as_a_process(tmp_path: Path, case: str) -> None:
    arguments, code, words = BAD_LINES[case]
    done = hedge(tmp_path, *arguments)
    assert words in done.stderr
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (code, 1, "")


BAD_FILES: dict[str, tuple[str, int, str]] = {
    "unknown key": (SIM + "acton = 1", 3, 'unknown key "acton" in hedges.btc; nearest: "action"'),
    "malformed": (SIM + "oops", 3, "malformed TOML"),
    "nan": (SIM.replace('"10000"', "nan"), 3, "hedges.btc.usd: not a finite number"),
    "venue settings": (SIM + "[venues.sim]\nsed = 1", 3, 'unknown key "sed" in venues.sim'),
    "allow": (SIM + '[plugins]\nallow = ["x"]', 3, "is not name==version"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_clear_line(
    program: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, code, words = BAD_FILES[case]
    (program / "hedge.toml").write_text(text)
    assert main(["run", "btc"]) == code
    out, err = capsys.readouterr()
    assert words in err
    assert (len(err.splitlines()), out) == (1, "")


def test_a_bug_is_one_line_and_a_private_file(tmp_path: Path) -> None:
    code = (
        "import sys, hedge.cli.main as m, hedge.cli.lazy as l\n"
        "l.TABLE['init'] = l.Entry('json', 'loads', ''); sys.argv = ['hedge', 'init']\n"
        "import json; json.loads = lambda: {}['s3cr3t']; sys.exit(m.main())"
    )
    done = python(tmp_path, "-c", code)
    (kept,) = (tmp_path / ".local/state/hedge/.crashes").iterdir()
    assert done.returncode == 1
    assert done.stderr.startswith("hedge: unexpected error (a bug): KeyError")
    assert done.stderr.strip().endswith(f"traceback in {kept}")
    assert len(done.stderr.splitlines()) == 1
    assert "s3cr3t" not in done.stderr
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "KeyError" in kept.read_text()
    shown = python(tmp_path, "-c", code, HEDGE_DEBUG="1")
    assert "Traceback" in shown.stderr
    assert shown.returncode == 1


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    line = f"{sys.executable} -m hedge.cli.main config schema | head -c 1; echo ${{PIPESTATUS[0]}}"
    base = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env={**base, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout in ("{141\n", "{0\n")


def test_version_and_the_bare_name(tmp_path: Path) -> None:
    assert hedge(tmp_path, "--version").stdout.startswith("hedge 0.")
    bare = hedge(tmp_path)
    assert (bare.returncode, bare.stdout) == (2, "")
    assert bare.stderr.startswith("Usage: hedge COMMAND")


@pytest.mark.parametrize(("venue", "package"), [("binance", "binance"), ("bybit", "pybit")])
def test_a_venue_without_its_extra_names_the_install_line(
    tmp_path: Path, venue: str, package: str
) -> None:
    line = ["run", "--spot", venue, "--futures", "sim", "--symbol", "A/B", "--usd", "1"]
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"import hedge.cli.main; sys.exit(hedge.cli.main.main({line!r}))"
    )
    done = python(tmp_path, "-c", code)
    assert re.search(
        rf"{re.escape(sys.executable)} -m pip install .*\[{venue}\]'$", done.stderr.strip()
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (9, 1)


def test_plugins_list_runs_no_plugin(tmp_path: Path) -> None:
    code = (
        "import sys, hedge.cli.main; code = hedge.cli.main.main(['plugins', 'list', '--json'])\n"
        "print([name for name in sys.modules if name.startswith('hedge_')], file=sys.stderr)"
    )
    done = python(tmp_path, "-c", code)
    assert done.stderr == "[]\n"
    document = json.loads(done.stdout)
    assert document["schema"] == "hedge.plugins/1"
    listed = {one["name"]: one["state"] for one in document["data"]}
    assert listed.items() >= {"binance": "bundled", "bybit": "bundled", "sim": "bundled"}.items()
