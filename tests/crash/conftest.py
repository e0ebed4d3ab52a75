"""Lets the tests of this folder share the laboratory, and installs the served venue for them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import Lab, install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the third party's package in it, as an installer would leave it."""
    return install(tmp_path_factory.mktemp("served"))


@pytest.fixture
def lab(tmp_path: Path, installed: Path) -> Iterator[Lab]:
    """One venue, one engine that is not started yet; both are gone with the test."""
    with Lab(tmp_path, installed, seed=1) as made:
        yield made
