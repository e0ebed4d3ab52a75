"""Goal: a line of `hedge sim serve` that means nothing is refused before anything is served.

Method: the command in the process, in an empty directory; a server would not return.
"""

from pathlib import Path

import pytest

from hedge.cli.group import run_line
from hedge.errors import ConfigError, UsageError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dialect", "kraken"], "kraken"),
        (["--dialect", "bybit", "--fault", "nosuch"], "no fault 'nosuch'"),
        (["--dialect", "bybit", "--fault", "cut=2"], "between 0 and 1"),
        (["--dialect", "bybit", "--speed", "0"], "is not above 0"),
        (["--dialect", "bybit", "--from", "yesterday"], "not an ISO time: 'yesterday'"),
        (["--dialect", "bybit", "--from", "2023-04-16"], "before or after the recording"),
        (["--dialect", "bybit", "--from", "2024-04-22"], "before or after the recording"),
        (["--dialect", "bybit", "--balances", "[1]"], "--balances"),
        (["--dialect", "bybit", "--port", "70000"], "70000"),
        (["--dialect", "binance-spot", "--public-key", "none.pem"], "none.pem"),
    ],
)
def test_what_means_nothing_is_refused(words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, ConfigError), match=said):
        run_line(["sim", "serve", "--state-dir", str(tmp_path), *words])
    assert not list(tmp_path.iterdir())
