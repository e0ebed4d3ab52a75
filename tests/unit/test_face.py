"""Goal: the face hands on exactly what it lists, and a start pays for none of it.
Method: `__all__` against what is public; a fresh interpreter says what an import brought in.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hedge

CORE = Path(hedge.__file__).parent.parent
DEAR = ("pydantic", "pydantic_settings", "pluggy", "msgspec", "typer", "rich", "asyncio", "sqlite3")


def brought_in_by(code):
    """Return the modules that a fresh interpreter has after ``code``."""
    script = f"import sys; sys.path.insert(0, {str(CORE)!r})\n{code}\n"
    script += "import json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_all_is_sorted_and_is_what_is_public():
    assert hedge.__all__ == sorted(hedge.__all__)
    # pytest, which our own plugin makes rewrite the package, leaves names with an @ in it.
    listed = {name for name in dir(hedge) if name.isidentifier() and not name.startswith("_")}
    assert set(hedge.__all__) >= listed - {"importlib", "TYPE_CHECKING", "Any"} - submodules()


def submodules():
    return {name.rpartition(".")[2] for name in sys.modules if name.startswith("hedge.")}


@pytest.mark.parametrize("name", hedge.__all__)
def test_every_listed_name_is_there(name):
    assert getattr(hedge, name) is not None


def test_an_unlisted_name_is_refused_by_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hedge.nothing  # noqa: B018 - the look-up is the test


def test_the_import_is_lazy():
    before = brought_in_by("pass")
    brought = brought_in_by("import hedge") - before
    assert not brought & set(DEAR), brought & set(DEAR)
    assert {name for name in brought if name.startswith("hedge")} == {"hedge"}


@pytest.mark.parametrize(
    ("module", "names"), [("hedge.model", "numbers"), ("hedge.decide.engine", "engine")]
)
def test_the_core_brings_in_no_io(module, names):
    before = brought_in_by("import msgspec")
    brought = brought_in_by(f"import msgspec, {module}") - before
    io = {"asyncio", "socket", "sqlite3", "logging", "pluggy", "pydantic", "random"}
    assert not brought & io, (names, brought & io)
