"""Goal: a venue stays an afternoon's work: what the face does not do for it fits on a few pages.
Method: the example's own lines, without its fake exchange, counted; what it imports, listed.
"""

import ast
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "example_plugin" / "hedge_toy"
FILES = sorted(EXAMPLE.glob("*.py"))
LINES_MAX = 250
FACE = {"hedge", "hedge.errors", "hedge.model", "hedge.roles", "hedge.transport"}


def test_the_example_is_small():
    texts = {file.name: file.read_text().splitlines() for file in FILES}
    lines = {name: sum(bool(line.strip()) for line in text) for name, text in texts.items()}
    assert sum(lines.values()) <= LINES_MAX, lines


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_example_imports_the_face_only(file):
    tree = ast.parse(file.read_text())
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in named if name and name.partition(".")[0] == "hedge"} <= FACE
