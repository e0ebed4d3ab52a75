"""Tells at the end of a run what each suite took of it, and keeps collections of garbage small."""

import contextlib
import gc
import resource
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

Room = Callable[[int], contextlib.AbstractContextManager[None]]


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _swept() -> Iterator[None]:
    """Collect what a module of tests left, and look at what outlives it never again.

    Two thousand tests' modules and reports are half a second of each full collection.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def room() -> Room:
    """Return what leaves each file so many bytes: beyond them a write fails as on a full disk."""

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    seconds: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                suite = "/".join(report.nodeid.split("/")[:2])
                seconds[suite] += report.duration
                tests[suite] += report.when == "call"
    terminalreporter.section("suites")
    for suite, took in seconds.most_common():
        terminalreporter.write_line(f"{took:7.1f} s {tests[suite]:5} tests  {suite}")
