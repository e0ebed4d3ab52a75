"""Goal: the house rules that a machine can see hold in every file, with the place of each breach.
Method: the syntax tree of each module; comments, strings and names are not confused with code.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for top in ("core", "plugins") for p in (ROOT / top).rglob("*.py"))
CORE = ROOT / "core" / "hedge"
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
EXACT = ("model/", "decide/", "journal/", "runtime/", "report/ledger.py")
PURE = ("model/", "decide/")
LONG_BY_NAME = {"core/hedge/decide/engine.py absorb": 90}
"""All arms of the one door stand in one match, and they are more than 70 lines; an entry that is
no longer needed fails, so that this list can only become shorter."""
BROAD = {"plugins/host.py", "runtime/at_once.py", "runtime/supervise.py"}
"""The plugin loader, the supervisor, and what runs a coroutine in a task's stead and hands its end
on: the three places that may catch whatever comes."""
CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "sleep"),
    ("asyncio", "sleep"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
}


def short(path):
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def within(parts, paths=None):
    return [
        path
        for path in paths or SOURCES
        if path.is_relative_to(CORE) and path.relative_to(CORE).as_posix().startswith(parts)
    ]


def found(paths, wanted):
    """Return where ``wanted`` holds of a node: ``file:line`` each."""
    return [
        f"{short(path)}:{node.lineno}"
        for path in paths
        for node in ast.walk(tree(path))
        if wanted(node)
    ]


def called(node, *names):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def test_there_is_something_to_look_at():
    assert len(SOURCES) > 80
    assert within(PURE) and within(EXACT)


def test_functions_are_short():
    long = {
        f"{short(path)} {node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert set(long) == set(LONG_BY_NAME), {"too long": long, "excused": LONG_BY_NAME}
    assert all(lines <= LONG_BY_NAME[name] for name, lines in long.items()), long


def test_files_are_short():
    long = [
        f"{short(path)} {lines}"
        for path in SOURCES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
    ]
    assert not long, long


def test_each_module_says_what_it_is_in_its_first_sentence():
    silent = [
        short(path)
        for path in SOURCES
        if tree(path).body
        and not re.match(
            r"\S.*[.:?`]$", (ast.get_docstring(tree(path)) or "").split("\n\n")[0], re.DOTALL
        )
    ]
    assert not silent, silent


def test_no_float_where_money_is():
    floats = found(
        within(EXACT),
        lambda node: called(node, "float"),
    )
    assert not floats, floats


def test_no_decimal_is_made_from_a_float():
    made = found(
        SOURCES,
        lambda node: (
            called(node, "Decimal")
            and any(isinstance(a, ast.Constant) and isinstance(a.value, float) for a in node.args)
        ),
    )
    assert not made, made


def test_no_float_literal_in_the_core():
    literals = found(
        within(PURE), lambda node: isinstance(node, ast.Constant) and type(node.value) is float
    )
    assert not literals, literals


def test_the_core_asks_no_clock_and_throws_no_dice():
    def impure(node):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            return bool(names & {"time", "random", "asyncio", "datetime", "secrets", "uuid", "os"})
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return (node.value.id, node.attr) in CLOCKS or node.value.id == "random"
        return False

    breaches = found(within(PURE), impure)
    assert not breaches, breaches


def test_nothing_is_caught_blindly():
    bare = found(SOURCES, lambda node: isinstance(node, ast.ExceptHandler) and node.type is None)
    assert not bare, bare


def catches(node, *names):
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(isinstance(kind, ast.Name) and kind.id in names for kind in kinds)


def swallows(node):
    """``except BaseException`` that ends in a bare raise cleans up and swallows nothing."""
    last = node.body[-1]
    passes_on = isinstance(last, ast.Raise) and last.exc is None
    return catches(node, "Exception") or (catches(node, "BaseException") and not passes_on)


def test_except_exception_stands_in_exactly_three_places():
    places = {
        path.relative_to(CORE).as_posix() if path.is_relative_to(CORE) else short(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and swallows(node)
    }
    assert places == BROAD, places ^ BROAD


def test_no_order_is_ever_retried():
    """A create stands in no loop, in no retry decorator and in no retry call (F13)."""
    breaches = []
    for path in SOURCES:
        for function in ast.walk(tree(path)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            retried = any("retry" in ast.unparse(d) for d in function.decorator_list)
            for node in ast.walk(function):
                looped = isinstance(node, ast.For | ast.While | ast.AsyncFor)
                retrying = isinstance(node, ast.Call) and "retry" in ast.unparse(node.func)
                if (looped or retrying or (retried and node is function)) and places_order(node):
                    breaches.append(f"{short(path)}:{node.lineno}")
    assert not breaches, breaches


def places_order(node):
    return any(
        isinstance(inner, ast.Attribute) and inner.attr == "place_order" for inner in ast.walk(node)
    )


def test_nothing_is_left_undone():
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
    left = [
        f"{short(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line) or "NotImplemented" + "Error" in line
    ]
    assert not left, left


def test_no_path_of_one_machine():
    paths = re.compile(r"""["'\s(](/(work|root|home/\w+|Users)/)""")
    named = [
        f"{short(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if paths.search(line)
    ]
    assert not named, named


@pytest.mark.parametrize("top", ["core", "plugins"])
def test_the_tops_hold_only_packages(top):
    strays = [
        entry.name
        for entry in (ROOT / top).iterdir()
        if not (entry.is_dir() and (entry / "__init__.py").exists())
        and entry.name != "__pycache__"
        and not entry.name.endswith((".egg-info", "_cache"))
    ]
    assert not strays, strays


def test_every_state_hash_field_of_the_books_is_deterministic():
    """Sets have no order: none may stand in the core's books."""
    sets = found(
        within(("decide/books.py", "decide/leg_book.py")),
        lambda node: called(node, "set") or isinstance(node, ast.Set | ast.SetComp),
    )
    assert not sets, sets
