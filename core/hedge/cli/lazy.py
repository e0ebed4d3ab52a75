"""Which commands there are: name, where each lives, and its line of help; nothing is imported."""

import difflib
from typing import NamedTuple


class Entry(NamedTuple):
    module: str
    attribute: str
    """A function with typer's annotations that returns None or an exit code, or a `typer.Typer`."""
    help: str


TABLE = {
    "demo": Entry("hedge.cli.demo", "demo", "run a scripted carry on simulated venues"),
    "init": Entry("hedge.cli.init", "init", "write a commented hedge.toml"),
    "run": Entry("hedge.cli.run", "run", "run the engine: build, watch and unwind hedges"),
    "status": Entry("hedge.cli.status", "status", "show what is held, hedged and earned now"),
    "report": Entry(
        "hedge.cli.report", "report", "attribute the profit and loss, from the journal"
    ),
    "explain": Entry("hedge.cli.explain", "explain", "say why each order was sent"),
    "stop": Entry("hedge.cli.operate", "stop", "cancel own orders, confirm the hedge, exit"),
    "pause": Entry("hedge.cli.operate", "pause", "take no new spot risk; hedging goes on"),
    "resume": Entry("hedge.cli.operate", "resume", "go on after a pause"),
    "scale": Entry("hedge.cli.operate", "scale", "set a new target at the latest price"),
    "adopt": Entry("hedge.cli.operate", "adopt", "take coins already held into the hedge"),
    "liquidate": Entry("hedge.cli.operate", "liquidate", "unwind both legs, hedged all the way"),
    "ack": Entry("hedge.cli.operate", "ack", "acknowledge an alarm"),
    "clear": Entry("hedge.cli.operate", "clear", "clear a trip level"),
    "resolve": Entry("hedge.cli.operate", "resolve", "settle an order in doubt by hand"),
    "journal": Entry("hedge.cli.journal_cmd", "app", "check, back up, restore, upgrade the record"),
    "notify": Entry("hedge.cli.notify_cmd", "app", "send a test message to each notifier"),
    "config": Entry("hedge.cli.config_cmd", "app", "show the configuration and its sources"),
    "plugins": Entry("hedge.cli.plugins_cmd", "app", "look at plugins, trust them, begin one"),
    "sim": Entry("hedge_sim.command", "app", "serve a simulated venue behind a real protocol"),
}


def nearest(name: str) -> str:
    """Return the command that a mistyped one is closest to, or nothing."""
    near = difflib.get_close_matches(name, TABLE, 1, 0.4)
    return near[0] if near else ""


def help_text() -> str:
    """Return the page of ``hedge --help``; the same on every terminal."""
    width = max(map(len, TABLE))
    commands = "\n".join(f"  {name:<{width}}  {entry.help}" for name, entry in TABLE.items())
    return (
        "Usage: hedge COMMAND [ARGS]...\n"
        "\n"
        "  Hold the coin, short its perpetual, collect the funding.\n"
        "\n"
        "Options:\n"
        "  --version   show the version and exit\n"
        "  -h, --help  show this page and exit\n"
        "\n"
        "Commands:\n"
        f"{commands}\n"
        "\n"
        "  `hedge COMMAND --help` says more. Begin with `hedge demo`.\n"
    )
