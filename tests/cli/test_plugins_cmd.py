"""Goal: ``hedge plugins`` says of every package whether it loads and why not, and trusts on demand.

Method: the commands in the process, with real packages on ``sys.path``; ``sys.modules`` is the
witness of what ran.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hedge.cli.group import run_line
from hedge.errors import ConfigError, PluginError, SafetyRefusal, UsageError

TOML = """\
# ours
[run]
tick_ms = 500      # keep

[plugins]
# allow = []       # third parties

[venues.sim]
seed = 7
"""
GOOD = '''\
"""A venue."""
from pydantic import BaseModel, ConfigDict

from hedge.hookspecs import hookimpl
from hedge.roles import Can, LegKind, VenueSpec


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seed: int = 1


@hookimpl
def hedge_venues():
    return [VenueSpec(name="{name}", legs=LegKind.SPOT, can=Can.DEPTH, settings=Settings)]
'''
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Stand in a folder with a configuration; return what installs a package as a wheel does."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEDGE__PLUGINS__ALLOW", raising=False)
    config = tmp_path / "hedge.toml"
    config.write_text(TOML)
    config.chmod(0o640)

    def make(name: str, text: str = GOOD, *, version: str = "1.0", folder: str = "") -> Path:
        package, distribution = site / f"kept_{name}", f"hedge-{name}"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "plugin.py").write_text(text.replace("{name}", name))
        for old in site.glob(f"hedge_{name}-*.dist-info/*"):
            old.unlink()
        for old in site.glob(f"hedge_{name}-*.dist-info"):
            old.rmdir()
        info = site / f"hedge_{name}-{version}.dist-info"
        info.mkdir()
        meta = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(f"{meta}Summary: the {name} venue\n")
        (info / "entry_points.txt").write_text(f"[hedge]\n{name} = kept_{name}.plugin\n")
        if folder:
            direct = {"url": f"file://{folder}", "dir_info": {"editable": True}}
            (info / "direct_url.json").write_text(json.dumps(direct))
        files = [*package.glob("*.py"), *info.iterdir()]
        record = [
            f"{file.relative_to(site)},sha256={hashlib.sha256(file.read_bytes()).hexdigest()},"
            for file in files
        ]
        (info / "RECORD").write_text("\n".join([*record, "../../../bin/tool,,"]) + "\n")
        return package

    yield make
    for name in [name for name in sys.modules if name.startswith("kept_")]:
        del sys.modules[name]


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def states(capsys: pytest.CaptureFixture[str], command: str = "list") -> dict[str, str]:
    capsys.readouterr()
    run_line(["plugins", command, "--json"])
    rows = json.loads(capsys.readouterr().out)["data"]
    own = [row for row in rows if row["distribution"] != "hedge-engine"]
    return {row["name"] or row["distribution"]: row["state"] for row in own}


def ran(name: str) -> bool:
    return f"kept_{name}" in sys.modules


def test_what_nobody_allowed_is_shown_and_never_runs(install: Install, capsys) -> None:
    install("acme", "raise SystemExit('ran')")
    assert states(capsys) == {"acme": "not allowed"}
    assert states(capsys, "check") == {"acme": "not allowed"}
    assert run_line(["plugins", "info", "acme"]) == 0
    assert run_line(["plugins", "check"]) == 0
    assert run_line(["plugins", "check", "acme"]) == 9, "it was asked for by name"
    assert not ran("acme")


def test_info_says_what_it_claims_before_it_may_run(install: Install, capsys) -> None:
    install("acme")
    assert run_line(["plugins", "info", "hedge-acme", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["data"]
    assert shown["package"] == "hedge-acme 1.0"
    assert shown["summary"] == "the acme venue"
    assert shown["hooks"] == ["venues"]
    assert shown["hash"].startswith("sha256:")
    assert "venues" not in shown and not ran("acme")
    run_line(["plugins", "allow", "acme"])
    capsys.readouterr()
    run_line(["plugins", "info", "acme", "--json"])
    (shown,) = json.loads(capsys.readouterr().out)["data"]
    assert shown["venues"]["acme"]["can"] == ["DEPTH"]
    assert shown["venues"]["acme"]["settings"] == ["seed"]


def test_allow_keeps_the_file_as_it_was_written(install: Install, tmp_path: Path, capsys) -> None:
    install("acme")
    assert run_line(["plugins", "allow", "acme"]) == 0
    said = capsys.readouterr()
    config = tmp_path / "hedge.toml"
    line = 'allow = ["hedge-acme==1.0"]\n'
    assert config.read_text() == TOML.replace("third parties\n", "third parties\n" + line)
    assert config.stat().st_mode & 0o777 == 0o640
    assert "kept_acme.plugin" in said.out and "sha256:" in said.out
    assert "no sandbox" in said.err
    assert not ran("acme"), "it is shown before it runs"
    assert states(capsys) == {"acme": "allowed"}
    assert run_line(["plugins", "block", "acme"]) == 0
    assert config.read_text() == TOML.replace("third parties\n", "third parties\nallow = []\n")
    assert "acme" not in (tmp_path / "hedge.lock").read_text()
    assert states(capsys) == {"acme": "not allowed"}
    run_line(["plugins", "block", "hedge-acme"])
    assert "was not allowed" in capsys.readouterr().err


def run_acme() -> int:
    words = ["run", "--spot", "sim", "--futures", "acme", "--symbol", "BTC/USDT", "--usd", "100"]
    return run_line(words)


TAMPERED = {
    "a line": lambda package: add(package / "plugin.py", "# more\n"),
    "a new module": lambda package: (package / "more.py").write_text(""),
    "a lost module": lambda package: (package / "__init__.py").unlink(),
    "its entry points": lambda package: add(
        next(package.parent.glob("*.dist-info/entry_points.txt")), "\n[x]\ny = z\n"
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_other_files_at_the_same_version_do_not_load(install: Install, capsys, how: str) -> None:
    package = install("acme")
    run_line(["plugins", "allow", "acme"])
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "plugin.cpython-311.pyc").write_bytes(b"made anew")
    (package.parent / "elsewhere.py").write_text("")
    assert states(capsys) == {"acme": "allowed"}, "caches and others' files do not count"
    for name in [name for name in sys.modules if name.startswith("kept_")]:
        del sys.modules[name]
    TAMPERED[how](package)
    assert states(capsys) == {"acme": "changed"}
    with pytest.raises(PluginError, match="if that is meant: hedge plugins allow acme") as caught:
        run_acme()
    assert caught.value.exit_code == 9
    assert "\n" not in str(caught.value)
    assert not ran("acme")
    assert run_line(["plugins", "check"]) == 9
    assert run_line(["plugins", "allow", "acme"]) == 0
    assert states(capsys) == {"acme": "allowed"}


def test_a_line_written_by_hand_is_locked_when_it_loads_first(
    install: Install, tmp_path: Path, capsys
) -> None:
    package = install("acme")
    config = tmp_path / "hedge.toml"
    config.write_text(TOML.replace("# allow = []", 'allow = ["Hedge_Acme == 1.0"] #'))
    assert states(capsys) == {"acme": "allowed, not locked"}
    assert not (tmp_path / "hedge.lock").exists(), "looking writes nothing"
    with pytest.raises(SafetyRefusal, match="acme is live"):
        run_acme()
    assert "is locked now as sha256:" in capsys.readouterr().err
    assert states(capsys) == {"acme": "allowed"}
    add(package / "plugin.py", "# more\n")
    with pytest.raises(PluginError, match="not those that were allowed"):
        run_acme()


def test_a_new_version_needs_a_new_line(install: Install, tmp_path: Path, capsys) -> None:
    install("acme")
    run_line(["plugins", "allow", "acme"])
    install("acme", version="1.1")
    assert states(capsys) == {"acme": "not allowed"}
    run_line(["plugins", "allow", "acme"])
    text = (tmp_path / "hedge.toml").read_text()
    assert "hedge-acme==1.1" in text and "hedge-acme==1.0" not in text
    assert states(capsys) == {"acme": "allowed"}


def test_an_editable_install_is_unpinned(install: Install, tmp_path: Path, capsys) -> None:
    package = install("acme", folder="/src/acme")
    run_line(["plugins", "allow", "acme"])
    assert "unpinned, so it is refused with --live" in capsys.readouterr().err
    assert "hedge-acme==1.0 @ /src/acme" in (tmp_path / "hedge.toml").read_text()
    assert states(capsys) == {"acme": "allowed, unpinned"}
    add(package / "plugin.py", "# more\n")
    assert states(capsys) == {"acme": "allowed, unpinned"}


def test_what_is_broken_or_gone_is_shown_and_the_rest_works(
    install: Install, tmp_path: Path, capsys
) -> None:
    install("acme")
    install("bad", "1 / 0")
    for name in ("acme", "bad"):
        run_line(["plugins", "allow", name])
    config = tmp_path / "hedge.toml"
    config.write_text(config.read_text().replace("allow = [", 'allow = ["hedge-gone==2.0", '))
    wanted = {"acme": "allowed", "bad": "broken", "hedge-gone": "not installed"}
    assert states(capsys) == wanted
    assert states(capsys, "check") == wanted
    assert run_line(["plugins", "check"]) == 9
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert run_line(["plugins", "check", "acme"]) == 0
    assert run_line(["plugins", "block", "gone"]) == 0
    assert run_line(["plugins", "block", "hedge-gone"]) == 0
    assert states(capsys) == {"acme": "allowed", "bad": "broken"}


def test_two_of_one_name_are_quarantined_and_not_made(
    install: Install, capsys, monkeypatch
) -> None:
    install("sim")
    with pytest.raises(PluginError, match="both offer 'sim': neither would load"):
        run_line(["plugins", "allow", "hedge-sim"])
    monkeypatch.setenv("HEDGE__PLUGINS__ALLOW", "hedge-sim==1.0")
    assert states(capsys) == {"sim": "duplicate"}
    run_line(["plugins", "list", "--json"])
    rows = json.loads(capsys.readouterr().out)["data"]
    assert {row["state"] for row in rows if row["name"] == "sim"} == {"duplicate"}
    assert {row["state"] for row in rows if row["name"] == "bybit"} == {"bundled"}
    assert not ran("sim")


def test_what_cannot_be_allowed_says_why(install: Install, tmp_path: Path, monkeypatch) -> None:
    install("acme")
    with pytest.raises(UsageError, match="binance comes with hedge"):
        run_line(["plugins", "allow", "binance"])
    with pytest.raises(PluginError, match="no installed package offers a plugin 'acne'; nearest"):
        run_line(["plugins", "allow", "acne"])
    with pytest.raises(PluginError, match="no plugin 'acne' is installed"):
        run_line(["plugins", "info", "acne"])
    (tmp_path / "hedge.lock").write_text("[hedge-acme]\nversion = 1\n")
    with pytest.raises(ConfigError, match="is no lock of a package"):
        run_line(["plugins", "list"])
    monkeypatch.chdir(tmp_path / "site")
    monkeypatch.setenv("HOME", str(tmp_path / "site"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(ConfigError, match="hedge init makes one"):
        run_line(["plugins", "allow", "acme"])


def test_the_environment_s_word_counts_more_and_is_said(
    install: Install, monkeypatch, capsys
) -> None:
    install("acme")
    monkeypatch.setenv("HEDGE__PLUGINS__ALLOW", "hedge-other==1.0")
    run_line(["plugins", "allow", "acme"])
    assert "plugins.allow is set by" in capsys.readouterr().err
    assert states(capsys) == {"acme": "not allowed", "hedge-other": "not installed"}


def test_list_as_a_table(install: Install, capsys) -> None:
    install("acme")
    assert run_line(["plugins", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "PROVIDER", "VERSION", "STATE"]
    assert [line.split()[:3] for line in lines if "acme" in line] == [["acme", "hedge-acme", "1.0"]]
