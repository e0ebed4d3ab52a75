"""The live panel of `run` and `status --watch` on a terminal; closing it touches no position."""

from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hedge.runtime.panel_facts import lines
from hedge.runtime.snapshot import HedgeSnapshot
from hedge.runtime.words import builtins_of

NOTES_MAX = 8
MODE_STYLES = {"HALT": "green", "INVENTORY": "yellow", "LIQUIDATION": "magenta"}


class Panel:
    """Enter it, `update` it whenever there is something new, leave it; it has no thread.

    ``console`` defaults to stdout; colours follow ``NO_COLOR``.
    """

    def __init__(self, console: Console | None = None, *, notes_max: int = NOTES_MAX) -> None:
        self._console = console or Console(highlight=False)
        self._notes: deque[str] = deque(maxlen=notes_max)
        self._hedges: list[Mapping[str, Any]] = []
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, snapshots: Iterable[HedgeSnapshot | Mapping[str, Any]]) -> None:
        """Show these hedges: snapshots, or what `/v1/status` made of them."""
        self._hedges = [one if isinstance(one, Mapping) else builtins_of(one) for one in snapshots]
        self._live.update(self._picture(), refresh=True)

    def note(self, line: str) -> None:
        """Add one line to the last events (`logs.plain`); shown with the next `update`."""
        self._notes.append(line)

    def _picture(self) -> Group:
        found: list[Text] = []
        for hedge in self._hedges:
            head, *rest = lines(hedge, self._console.width)
            style = MODE_STYLES.get(str(hedge.get("mode")), "")
            found.append(Text(head.text, style=f"bold {style}", overflow="fold"))
            found += [
                Text(line.text, style="bold red" if line.alarming else "", overflow="fold")
                for line in rest
            ]
        found += [Text(note, style="dim", overflow="fold") for note in self._notes]
        return Group(*found)
