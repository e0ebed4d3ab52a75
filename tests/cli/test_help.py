"""Goal: help is the same by every way, plain, and finds the command that was meant.

Method: the group as typer builds it against the text that the fast path prints.
"""

import pytest
import typer

from hedge.cli.group import CONTEXT, load_command, root, run_line
from hedge.cli.lazy import TABLE, help_text, nearest
from hedge.cli.main import main
from hedge.errors import UsageError


def test_both_ways_print_one_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["--help"]) == 0
    slow = capsys.readouterr().out
    assert slow == help_text()
    assert root().list_commands(None) == list(TABLE)


def test_the_page_fits_a_terminal() -> None:
    assert max(map(len, help_text().splitlines())) <= 80
    assert help_text().isascii()


@pytest.mark.parametrize("name", TABLE)
def test_every_command_is_there_and_says_what_it_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_line([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"Usage: hedge {name}")
    assert "\x1b" not in page
    assert len(page.splitlines()) > 4
    assert load_command(name).name == name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("staus", "status"), ("rn", "run"), ("liquidat", "liquidate"), ("plugin", "plugins")],
)
def test_a_mistyped_command_names_the_nearest(typed: str, meant: str) -> None:
    assert nearest(typed) == meant
    with pytest.raises(UsageError, match=f"nearest: {meant}"):
        run_line([typed])


def test_a_far_off_command_names_the_help() -> None:
    with pytest.raises(UsageError, match="see hedge --help"):
        run_line(["xyzzy"])


def test_options_before_the_command() -> None:
    with pytest.raises(UsageError, match="No such option: --bogus"):
        run_line(["--bogus", "run"])


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_line: object) -> int:
        raise typer.Abort

    monkeypatch.setattr("sys.excepthook", None)
    command = typer.Typer(add_completion=False)
    command.command()(lambda: interrupted(None))
    assert CONTEXT["help_option_names"] == ["-h", "--help"]
    with pytest.MonkeyPatch.context() as patch:
        module = type("Module", (), {"stopped": command})
        patch.setitem(__import__("sys").modules, "hedge_made_stop", module)
        patch.setitem(
            TABLE, "init", TABLE["init"]._replace(module="hedge_made_stop", attribute="stopped")
        )
        assert main(["init"]) == 130
