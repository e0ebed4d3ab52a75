"""Goal: what a page points at exists, and what it shows works.

Method: every Markdown file of the repository is read: links, fenced TOML, commands, order of lists.
"""

import re
import stat
from pathlib import Path

import pytest

from hedge.cli.lazy import TABLE
from hedge.config import resolve

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ADRS = sorted((DOCS / "adr").glob("[0-9]*.md"))
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "config").glob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\bhedge ([a-z]+)")
SECTION = re.compile(r"^## Start\n(.*?)^## ", re.MULTILINE | re.DOTALL)
ADR_LINES_MAX = 60
INLINE = re.compile(r"(?<=`)hedge ([a-z]+)")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = set()
    for line in FENCE.sub("", text).splitlines():
        if line.startswith("#"):
            words = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        page = (path.parent / name).resolve() if name else path
        assert page.exists(), f"{shown(path)}: {target}"
        assert page.is_relative_to(ROOT), f"{shown(path)}: {target} leaves the repository"
        if anchor:
            assert anchor in anchors(page.read_text()), f"{shown(path)}: {target}"


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_every_toml_example_is_a_configuration(path: Path, tmp_path: Path) -> None:
    for kind, body in FENCE.findall(path.read_text()):
        if kind != "toml":
            continue
        file = tmp_path / "hedge.toml"
        file.write_text(body)
        file.chmod(0o600)
        found = resolve(environ={}, cwd=tmp_path).settings
        assert found.hedges or found.venues or found.notifiers


def test_the_example_files_are_configurations(tmp_path: Path) -> None:
    files = sorted((ROOT / "config").glob("*.toml"))
    assert files
    for file in files:
        copy = tmp_path / file.name
        copy.write_text(file.read_text())
        copy.chmod(stat.S_IRUSR | stat.S_IWUSR)
        assert resolve(environ={}, cwd=tmp_path, config_path=copy).settings.hedges


def test_the_readme_names_every_command_once() -> None:
    rows = re.findall(r"^\| `hedge ([a-z]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == list(TABLE)


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "changelog.md"], ids=shown)
def test_every_command_that_a_page_types_exists(path: Path) -> None:
    text = path.read_text()
    typed = [line for _, body in FENCE.findall(text) for line in body.splitlines()]
    named = [name for line in typed if line.startswith("$ ") for name in COMMAND.findall(line)]
    named += INLINE.findall(text)
    assert [name for name in named if name not in TABLE] == []


def test_the_readme_begins_with_two_commands() -> None:
    section = SECTION.search((ROOT / "README.md").read_text())
    assert section is not None
    fences = FENCE.findall(section[1])
    assert fences == [("", "make demo\nmake test\n")]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_the_readme_keeps_the_place_of_the_demo() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("<!-- demo -->") == text.count("<!-- /demo -->") == 1


def test_decisions_are_numbered_without_a_hole() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{n:04}" for n in range(1, len(ADRS) + 1)]


def test_the_list_of_decisions_has_their_titles() -> None:
    titles = [path.read_text().splitlines()[0].removeprefix("# ") for path in ADRS]
    listed = re.findall(
        r"^\* \[(\d+)\]\(\S+\): (.+)$", (DOCS / "adr" / "README.md").read_text(), re.MULTILINE
    )
    assert [f"{number}: {title}" for number, title in listed] == titles


@pytest.mark.parametrize("path", ADRS, ids=shown)
def test_a_decision_has_its_parts_on_one_page(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert re.fullmatch(rf"# {path.name[:4]}: \S.*", lines[0])
    assert [line for line in lines if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## Consequences",
    ]
    assert len(lines) <= ADR_LINES_MAX


def test_the_glossary_is_sorted() -> None:
    terms = re.findall(r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.lower)


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for target in LINK.findall(FENCE.sub("", path.read_text())):
            page = (path.parent / target.partition("#")[0]).resolve()
            if page.suffix == ".md" and page not in seen:
                waiting.append(page)
    assert [shown(path) for path in PAGES if path not in seen] == []


def test_the_unit_stays_down_after_what_would_come_again() -> None:
    unit = (ROOT / "config" / "hedge.service").read_text()
    assert "RestartPreventExitStatus=2 3 5 6 8 9\n" in unit
    assert "Type=notify\n" in unit
    assert "StartLimitIntervalSec=0\n" in unit, "what may be mended is tried until it is"
    stop = int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0])
    assert stop > resolve(environ={}, cwd=Path("/nonexistent")).settings.run.stop_timeout_s
