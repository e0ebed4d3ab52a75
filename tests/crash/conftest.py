"""Lets the tests of this folder share the laboratory, and tells their stories side by side."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import Lab, Story, install

AT_ONCE = int(os.environ.get("HEDGE_CRASH_AT_ONCE", "12"))
"""A life mostly waits: for a market, for a fence, for its killer."""


@pytest.fixture(scope="session")
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Story, Future[Any]]]:
    """Every story that a collected test asks for, each in a laboratory of its own, begun at once.

    Each test then waits for its own; a directory is left behind where a story went wrong.
    """
    installed = install(tmp_path_factory.mktemp("served"))
    folder = tmp_path_factory.mktemp("crash")

    def tell(story: Story) -> Any:
        place = folder / story.name.replace(" ", "-")
        with Lab(place, installed, story.seed) as lab:
            return story.tell(lab)

    stories: dict[Story, None] = {}
    for item in request.session.items:
        params = getattr(item, "callspec", None)
        if params is not None and isinstance(params.params.get("story"), Story):
            stories[params.params["story"]] = None
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {story: pool.submit(tell, story) for story in stories}
    finally:
        pool.shutdown(cancel_futures=True)
