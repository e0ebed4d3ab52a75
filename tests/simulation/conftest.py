"""Lets the tests of this folder share the simulated world, and tells at the end what they saw."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

TOLD = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def tell(request: pytest.FixtureRequest) -> list[str]:
    """Return the lines that are printed when all tests are over, pass or fail."""
    return request.config.stash.setdefault(TOLD, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = terminalreporter.config.stash.get(TOLD, [])
    if told:
        terminalreporter.section("simulation")
        for line in told:
            terminalreporter.write_line(line)
