"""Goal: ``hedge plugins list`` says of every package whether it may load, and runs none.

Method: the command in the process, with real packages on ``sys.path``.
"""

import json
import sys
from pathlib import Path

import pytest

from hedge.cli.group import run_line


@pytest.fixture(autouse=True)
def _packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for distribution, entry in (
        ("hedge-acme", "acme"),
        ("hedge-other", "other"),
        ("hedge-dup", "sim"),
    ):
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[hedge]\n{entry} = hedge_never_{entry}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEDGE__PLUGINS__ALLOW", "hedge-acme==1.0, hedge-dup==1.0")


def test_list_says_what_may_load(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["plugins", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["data"]
    states = {
        (row["name"], row["distribution"]): row["state"]
        for row in rows
        if row["state"] != "bundled"
    }
    assert states == {
        ("acme", "hedge-acme"): "allowed",
        ("other", "hedge-other"): "not allowed",
        ("sim", "hedge-dup"): "duplicate",
        ("sim", "hedge-engine"): "duplicate",
    }
    assert next(row["allow"] for row in rows if row["name"] == "other") == "hedge-other==1.0"
    assert not [name for name in sys.modules if name.startswith("hedge_never")]


def test_list_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["plugins", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "PROVIDER", "VERSION", "STATE"]
    assert len([line for line in lines if not line.endswith("bundled")]) == 5
