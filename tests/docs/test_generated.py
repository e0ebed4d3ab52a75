"""Goal: the pages that are written from the code are those of this code.

Method: the generator itself with ``--check``, and its tables against the code they come from.
"""

import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hedge import errors, hookspecs, roles
from hedge.decide import mode, orders, risk

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    sys.path.insert(0, str(DOCS))  # as it is for a script that stands there
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # what the generator sets for the width of the help is taken back after each test
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("TERMINAL_WIDTH", raising=False)


def test_the_pages_are_fresh(generate: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    code = generate.main(["--check"])
    assert code == 0, capsys.readouterr().err


def test_check_notices_a_stale_page(
    generate: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "meanings.toml").write_text((DOCS / "meanings.toml").read_text())
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    page = tmp_path / "modes.md"
    page.write_text(page.read_text().replace("LIQUIDATION", "LIQUIDATED", 1))
    (tmp_path / "cli.md").unlink()
    assert generate.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.splitlines() == [
        "docs/modes.md: stale; run python docs/generate.py",
        "docs/cli.md: stale; run python docs/generate.py",
    ]


def test_a_code_without_words_is_an_error(
    generate: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (DOCS / "meanings.toml").read_text()
    changed = words.replace("ENTRY_WAIT =", "ENTRY_WEIGHT =")
    assert changed != words
    (tmp_path / "meanings.toml").write_text(changed)
    assert generate.main([], tmp_path) == 1
    said = capsys.readouterr().err
    assert 'no words for [reason] "ENTRY_WAIT"' in said
    assert 'nothing asks for [reason] "ENTRY_WEIGHT"' in said


def test_another_argument_is_refused(
    generate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--chek"]) == 2
    assert "usage" in capsys.readouterr().err


def test_modes_shows_every_code() -> None:
    page = (DOCS / "modes.md").read_text()
    names = [*mode.Trigger, *orders.OrderTrigger, *orders.OrderStatus, *risk.Reason]
    assert [one for one in names if f"`{one.value}`" not in page] == []
    assert [one for one in mode.Trip if f"`{one.name}`" not in page] == []


def test_each_hook_has_a_heading_with_its_arguments() -> None:
    lines = (DOCS / "hooks.md").read_text().splitlines()
    for name, hook in vars(hookspecs).items():
        if not name.startswith("hedge_"):
            continue
        code = hook.__code__
        given = ", ".join(code.co_varnames[: code.co_argcount])
        assert f"## `{name}({given})`" in lines


def test_each_method_of_a_role_stands_with_all_its_arguments() -> None:
    page = (DOCS / "hooks.md").read_text()
    for kind in vars(roles).values():
        if not isinstance(kind, type) or kind.__module__ != roles.__name__:
            continue
        for name, method in vars(kind).items():
            if name.startswith("_") or not inspect.isfunction(method):
                continue
            (given,) = re.findall(rf"\n\* `(?:async )?{name}\((.*)\) -> ", part(page, kind))
            wanted = [one for one in inspect.signature(method).parameters if one != "self"]
            assert re.findall(r"(?:^|, )(\w+): ", given) == wanted, (kind, name)


def part(page: str, kind: type) -> str:
    return page.partition(f"### `{kind.__name__}`\n")[2].partition("\n### ")[0]


def test_every_exit_code_of_the_tree_is_in_the_table_and_in_the_readme() -> None:
    page = (DOCS / "exit-codes.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for kind in vars(errors).values():
        if not (isinstance(kind, type) and issubclass(kind, errors.HedgeError)):
            continue
        assert f"\n| {kind.exit_code} | " in page
        assert f"| {kind.exit_code} | " in readme
        assert f"`{kind.__name__}`" in page
