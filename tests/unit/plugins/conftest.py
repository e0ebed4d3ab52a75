"""Makes real packages: a module and its ``dist-info``, in a directory on ``sys.path``."""

import itertools
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

COUNT = itertools.count()

VENUE = """
from hedge.hookspecs import hookimpl
from hedge.roles import Can, LegKind, VenueSpec
from pydantic import BaseModel, ConfigDict

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seed: int = 1

@hookimpl
def hedge_venues():
    return [VenueSpec(name="{name}", legs=LegKind.SPOT, can=Can.{can}, settings=Settings)]
"""

FEED = """
class Feed:
    async def __aenter__(self): return self
    async def __aexit__(self, *_): ...
    async def read_instruments(self): ...
    async def read_instrument(self, symbol): ...
    async def listen(self, symbol, sink): ...

@hookimpl
def hedge_spot_feed(venue, context):
    return Feed() if venue.partition(":")[0] == "{name}" else None
"""

Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return a function that installs a distribution with one entry point, and names its module."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules: list[str] = []

    def install(
        entry: str,
        body: str | None = None,
        *,
        distribution: str = "hedge-acme",
        version: str = "1.2.0",
        editable: str = "",
        can: str = "NONE",
    ) -> str:
        module = f"hedge_made_{next(COUNT)}"
        modules.append(module)
        text = (VENUE + FEED).format(name=entry, can=can) if body is None else body
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(text))
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[hedge]\n{entry} = {module}\n")
        if editable:
            direct = {"url": f"file://{editable}", "dir_info": {"editable": True}}
            (info / "direct_url.json").write_text(json.dumps(direct))
        return module

    yield install
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def bodies() -> tuple[str, str]:
    """Return the texts of a module that states a venue, and of one that also feeds it."""
    return VENUE, FEED
