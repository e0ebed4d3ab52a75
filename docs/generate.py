# ruff: noqa: INP001 - a script beside the pages it writes
"""Write the pages that the code already says: modes, hooks, cli, config, exit codes and cards.

``python docs/generate.py`` writes them; ``--check`` writes nothing and ends with 1 when one is
stale. Words that the code does not hold (what a reason means to a person) stand in
``docs/meanings.toml``; a code without its words is an error here, and so is a word without a code.
"""

import ast
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from config_page import config
from parts import (
    CORE,
    ROOT,
    Words,
    calls,
    classes,
    fields,
    members,
    one_line,
    page,
    parsed,
    table,
    text_of,
)

DOCS = Path(__file__).resolve().parent
COLUMNS = "80"


# -- modes.md ------------------------------------------------------------------------------------


def modes(words: Words) -> str:
    mode = importlib.import_module("hedge.decide.mode")
    orders = importlib.import_module("hedge.decide.orders")
    risk = importlib.import_module("hedge.decide.risk")
    said = members(CORE / "decide" / "mode.py", "Trigger")
    steps = table(
        ["trigger", *(f"from {one.value}" for one in mode.Mode), "when"],
        [
            [
                f"`{trigger.value}`",
                *(_next(mode.TRANSITIONS, one, trigger) for one in mode.Mode),
                said[trigger.name] or words.of("trigger", trigger.value),
            ]
            for trigger in mode.Trigger
        ],
    )
    levels = members(CORE / "decide" / "mode.py", "Trip")
    trips = table(
        ["level", "name", "what is still sent"],
        [
            [str(one.value), f"`{one.name}`", levels[one.name] or words.of("trip", one.name)]
            for one in mode.Trip
        ],
    )
    life = table(
        ["trigger", *(f"`{one.value}`" for one in orders.OrderStatus)],
        [
            [
                f"`{trigger.value}`",
                *(_next(orders.TRANSITIONS, one, trigger) for one in orders.OrderStatus),
            ]
            for trigger in orders.OrderTrigger
        ],
    )
    reasons = table(
        ["code", "meaning"],
        [[f"`{one.value}`", words.of("reason", one.value)] for one in risk.Reason],
    )
    return page(
        "Modes, trips, orders and reasons",
        "The words are those of the [glossary](glossary.md); what an operator does about a trip or"
        " an alarm is in the [safety model](safety-model.md).",
        "## Modes",
        "\n".join(f"* **{one.value}**: {words.of('mode', one.value)}" for one in mode.Mode),
        "A pair without an entry is a broken invariant: the engine stops with exit code 13.",
        steps,
        "## Trip levels",
        "Beside the mode stands a level, the worst of all standing reasons.",
        trips,
        "### Reasons for a trip",
        table(
            ["reason", "level", "cause, and what clears it"],
            [
                [f"`{key}`", ", ".join(f"`{one}`" for one in found), words.of("trips", key)]
                for key, found in tripping().items()
            ],
        ),
        "## Alarms",
        "An alarm stays until a person acknowledges it, also when its cause is gone."
        " Levels: warning, alarm, page.",
        table(
            ["key", "level", "meaning"],
            [
                [f"`{key}`", ", ".join(found), words.of("alarm", key)]
                for key, found in alarming().items()
            ],
        ),
        "## Orders",
        "What was filled is not part of the status: the quantity is cumulative and only grows,"
        " so a fill after a cancel is lawful.",
        "\n".join(
            f"* `{one.value}`: {_status(one.name) or words.of('status', one.value)}"
            for one in orders.OrderStatus
        ),
        life,
        "## Reason codes",
        "Why nothing is sent at the moment. They stand in `hedge status` after `waits:`.",
        reasons,
    )


def _next(steps: dict[tuple[Any, Any], Any], state: Any, trigger: Any) -> str:
    found = steps.get((state, trigger))
    if found is None:
        return "-"
    return "stays" if found is state else f"**{found.value}**"


def _status(name: str) -> str:
    return members(CORE / "decide" / "orders.py", "OrderStatus")[name]


def sources() -> list[Path]:
    return sorted([*(CORE / "decide").glob("*.py"), *(CORE / "runtime").glob("*.py")])


def tripping() -> dict[str, list[str]]:
    """Return reason -> the levels it can raise, from every call of ``trip`` in the core."""
    found: dict[str, list[str]] = {}
    for path in sources():
        for call, local in calls(path, {"trip"}):
            key = text_of(call.args[0], local) if len(call.args) > 1 else ""
            levels = {
                node.attr
                for node in ast.walk(_resolved(call.args[1], local) if key else ast.Pass())
                if isinstance(node, ast.Attribute) and node.attr.isupper()
            }
            found.setdefault(key, []).extend(sorted(levels))
        for call, _ in calls(path, {"_alarm", "ShellAlarmed"}):
            freeze = call.args[4] if len(call.args) > 4 else None  # noqa: PLR2004 - a place among the arguments
            if text := text_of(freeze, {}):
                found.setdefault(text, []).append("FREEZE_SPOT")
    found.pop("", None)
    found.setdefault("DATA_AGE", []).extend(["FREEZE_SPOT", "HEDGE_ONLY", "LOCKED"])
    found.setdefault("OPERATOR", []).extend(["FREEZE_SPOT", "LOCKED"])
    for fixed in ("LOOP_LAG", "RESTARTS"):
        found.setdefault(fixed, []).append("FREEZE_SPOT" if fixed == "LOOP_LAG" else "LOCKED")
    order = ["FREEZE_SPOT", "HEDGE_ONLY", "LOCKED"]
    return {
        key: sorted(set(levels) & set(order), key=order.index)
        for key, levels in sorted(found.items())
    }


def alarming() -> dict[str, list[str]]:
    """Return alarm key -> its levels, from every call of ``alarm`` in the core and the shell."""
    found: dict[str, set[str]] = {}
    for path in sources():
        for call, local in calls(path, {"alarm", "_alarm"}):
            at = next(
                (index for index in (0, 1) if text_of(_at(call, index), local).isupper()), None
            )
            if at is None:
                continue
            level = text_of(_at(call, at + 1), local)
            if level.islower():
                found.setdefault(text_of(_at(call, at), local), set()).add(level)
    return {key: sorted(levels) for key, levels in sorted(found.items())}


def _at(call: ast.Call, index: int) -> ast.expr | None:
    return call.args[index] if index < len(call.args) else None


def _resolved(node: ast.expr, local: dict[str, ast.expr]) -> ast.AST:
    return local.get(node.id, node) if isinstance(node, ast.Name) else node


# -- hooks.md ------------------------------------------------------------------------------------


def hooks(_words: Words) -> str:
    roles = CORE / "roles.py"
    parts = []
    for node in parsed(CORE / "hookspecs.py").body:
        if not isinstance(node, ast.FunctionDef):
            continue
        first = "firstresult=True" in ast.unparse(node.decorator_list[0])
        given = ", ".join(argument.arg for argument in node.args.args)
        typed = ", ".join(_plain(ast.unparse(argument)) for argument in node.args.args)
        kind = "first result" if first else "collect: every plugin's answer counts"
        assert node.returns is not None
        answer = _plain(ast.unparse(node.returns))
        parts += [
            f"## `{node.name}({given})`",
            one_line(ast.get_docstring(node)),
            f"Kind: {kind}.",
            f"```python\ndef {node.name}({typed}) -> {answer}: ...\n```",
        ]
    parts.append("## Roles")
    parts.append(
        "What a hook returns implements one of these; all of them are opened by the runtime with"
        " `async with`, and closed by it."
    )
    flags, structs, protocols = [], [], []
    for node in classes(roles):
        bases = [ast.unparse(base) for base in node.bases]
        if "Protocol" in bases or any(base.endswith("Gateway") for base in bases):
            protocols.append(_protocol(node, bases))
        elif "enum.Flag" in bases:
            flags.append(_fields(node, ["flag", "meaning"], 3))
        else:
            structs.append(_fields(node, ["field", "type", "default", "meaning"], 1, 2, 3))
    return page(
        "Hooks and roles",
        "Hooks are synchronous and do no I/O. A hook returns an *unopened* object, or None for"
        ' "not mine". A plugin registers its module under the entry point group `hedge` and marks'
        " its functions with `hedge.hookimpl`. Dispatch asks every loaded plugin; for a hook of the"
        " kind *first result* the first answer that is not None counts."
        " A plugin of another distribution loads only when it is [allowed](plugins.md)."
        " Plugins are not sandboxed: one that is loaded has the power of the process.",
        *parts,
        *protocols,
        "## What they are told and say",
        *structs,
        "## Flags",
        *flags,
    )


def _plain(text: str) -> str:
    return text.replace("'", "").replace('"', "")


def _protocol(node: ast.ClassDef, bases: list[str]) -> str:
    over = [base for base in bases if base != "Protocol"]
    lines = [f"### `{node.name}`", ""]
    said = one_line(ast.get_docstring(node))
    lines += [said, ""] if said else []
    lines += [f"Also everything of `{', '.join(over)}`.", ""] if over else []
    return "\n".join([*lines, *_methods(node)]).rstrip()


def _methods(node: ast.ClassDef) -> Iterator[str]:
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        word = "async " if isinstance(method, ast.AsyncFunctionDef) else ""
        given = _plain(ast.unparse(method.args)).removeprefix("self").removeprefix(", ")
        prop = any(ast.unparse(one) == "property" for one in method.decorator_list)
        assert method.returns is not None
        sign = method.name if prop else f"{word}{method.name}({given})"
        if method.name == "__aexit__":
            sign = "async __aexit__(kind, error, trace)"
        about = one_line(ast.get_docstring(method))
        yield f"* `{sign} -> {_plain(ast.unparse(method.returns))}`" + (about and f": {about}")


def _fields(node: ast.ClassDef, head: list[str], *columns: int) -> str:
    rows = [
        [f"`{one[0]}`", *(_cell(one[index], code=index != 3) for index in columns)]  # noqa: PLR2004 - the column of the words
        for one in fields(node)
    ]
    said = one_line(ast.get_docstring(node))
    parts = (f"### `{node.name}`", said, table(head, rows), "\n".join(_methods(node)))
    return "\n\n".join(part for part in parts if part)


def _cell(text: str, *, code: bool) -> str:
    safe = text.replace("|", "\\|")
    return f"`{safe}`" if code and safe else safe


# -- cli.md --------------------------------------------------------------------------------------


def cli(_words: Words) -> str:
    os.environ["COLUMNS"] = COLUMNS
    os.environ.pop("TERMINAL_WIDTH", None)
    lazy = importlib.import_module("hedge.cli.lazy")
    group = importlib.import_module("hedge.cli.group")
    parts = ["## hedge", f"```text\n{_help(group, [])}```"]
    for name in lazy.TABLE:
        command = group.load_command(name)
        parts += [f"## hedge {name}", f"```text\n{_help(group, [name])}```"]
        for below in getattr(command, "commands", {}):
            parts += [f"### hedge {name} {below}", f"```text\n{_help(group, [name, below])}```"]
    return page(
        "The command line",
        "Every command's own help. Standard output is data, standard error is messages. What the"
        " codes mean is in [exit codes](exit-codes.md).",
        *parts,
    )


def _help(group: Any, words: list[str]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        group.run_line([*words, "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip() + "\n"


# -- exit-codes.md -------------------------------------------------------------------------------


def exit_codes(words: Words) -> str:
    errors = importlib.import_module("hedge.errors")
    by_code: dict[int, list[str]] = {0: [], 11: [], 74: [], 130: [], 141: []}
    for node in classes(CORE / "errors.py"):
        kind = getattr(errors, node.name)
        by_code.setdefault(kind.exit_code, []).append(f"`{node.name}`")
    rows = [
        [str(code), ", ".join(by_code[code]), words.of("exit", str(code))]
        for code in sorted(by_code)
    ]
    docstring = errors.__doc__
    tree = docstring[docstring.index("HedgeError") :].rstrip()
    ends = table(
        ["reason", "exit code", "meaning"],
        [[f"`{reason}`", str(code), words.of("end", reason)] for reason, code in endings()],
    )
    return page(
        "Exit codes",
        "One line on standard error says why; a traceback never does.",
        table(["code", "errors", "meaning"], rows),
        words.of("page", "exit"),
        "## How a hedge ends",
        "The reason of the row `end` in the log, and in `hedge status` of a hedge that has ended.",
        ends,
        "## The tree of errors",
        f"```text\n{tree}\n```",
    )


def endings() -> list[tuple[str, int]]:
    """Return the reasons a hedge ends with, and their codes, from the core."""
    found: set[tuple[str, int]] = set()
    for path in sorted((CORE / "decide").glob("*.py")):
        for call, local in calls(path, {"EndRun"}):
            given = {one.arg: one.value for one in call.keywords}
            reason, code = text_of(given.get("reason"), local), given.get("exit_code")
            if reason and isinstance(code, ast.Constant) and isinstance(code.value, int):
                found.add((reason, code.value))
        for node in ast.walk(parsed(path)):
            match node:
                case ast.Assign(
                    targets=[ast.Attribute(attr="ending")],
                    value=ast.Tuple(
                        elts=[ast.Constant(value=int(number)), ast.Constant(value=str(why)), _]
                    ),
                ):
                    found.add((why, number))
    return sorted(found)


# -- the whole -----------------------------------------------------------------------------------

# -- plugins.md, conformance.md ------------------------------------------------------------------

STATES = ("<!-- states, from the code -->", "<!-- end -->")


def plugins(_words: Words) -> str:
    """Return the page as a person wrote it, with the table of states as the code has it."""
    states = importlib.import_module("hedge.plugins.roll").State
    said = members(CORE / "plugins" / "roll.py", "State")
    rows = [[f"`{one.value}`", said[one.name]] for one in states]
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    head, begin, rest = text.partition(STATES[0])
    _, end, tail = rest.partition(STATES[1])
    assert begin and end, "plugins.md has lost its marks"
    return f"{head}{begin}\n\n{table(['state', 'meaning'], rows)}\n\n{end}{tail}"


def conformance(_words: Words) -> str:
    return str(importlib.import_module("hedge.testing.page").page())


PAGES = {
    "modes.md": modes,
    "hooks.md": hooks,
    "cli.md": cli,
    "config.md": config,
    "exit-codes.md": exit_codes,
    "plugins.md": plugins,
    "conformance.md": conformance,
}


def pages(docs: Path) -> tuple[dict[str, str], list[str]]:
    """Return every page's text, and what is wrong with the words of ``docs``."""
    words = Words(docs / "meanings.toml")
    made = {name: write(words) for name, write in PAGES.items()}
    missing = [f"meanings.toml: no words for {one}" for one in dict.fromkeys(words.missing)]
    return made, [*missing, *(f"meanings.toml: nothing asks for {one}" for one in words.unused())]


def main(arguments: Sequence[str], docs: Path = DOCS) -> int:
    for folder in (ROOT / "core", ROOT / "plugins"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    if [one for one in arguments if one != "--check"]:
        sys.stderr.write("usage: python docs/generate.py [--check]\n")
        return 2
    made, problems = pages(docs)
    for name, text in made.items():
        path = docs / name
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            problems.append(f"docs/{name}: stale; run python docs/generate.py")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
