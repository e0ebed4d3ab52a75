"""The entry point: the fast answer to ``--help``, and one line and one code for every error."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hedge.cli import streams

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

INTERRUPTED = 130
OUTPUT_LOST = 74
"""As sysexits.h has it for an error of input or output."""
BROKEN_PIPE = 141
"""As a shell shows a program that the signal ended; nobody is there to read anything else."""
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Perform one line of the command line and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o077)
    sys.excepthook = report_bug
    streams.mend()
    code = 0
    try:
        code = _perform(given)
        sys.stdout.flush()
    except BrokenPipeError:
        return BROKEN_PIPE
    except streams.OutputLost as error:
        print(f"hedge: standard output cannot be written: {error.strerror}", file=sys.stderr)
        return code or OUTPUT_LOST
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        streams.forgive()  # what is still buffered when the interpreter ends
    return code


def _perform(given: list[str]) -> int:
    if given in ([], ["--help"], ["-h"]):
        from hedge.cli.lazy import help_text

        print(help_text(), end="", file=sys.stdout if given else sys.stderr)
        return 0 if given else USAGE
    if given == ["--version"]:
        from importlib.metadata import version

        print(f"hedge {version('hedge-engine')}")
        return 0
    from hedge.cli.group import run_line
    from hedge.errors import HedgeError

    try:
        return run_line(given)
    except HedgeError as error:
        from hedge.cli.output import say_error

        say_error(str(error) or type(error).__name__)
        return error.exit_code


def report_bug(
    kind: type[BaseException], error: BaseException, trace: "TracebackType | None"
) -> None:
    """Say in one line that this is our fault; the traceback goes to a file, or with HEDGE_DEBUG.

    The message of the exception stands only there: it may hold what a log must not.
    """
    import traceback

    from hedge.errors import redacted

    full = redacted("".join(traceback.format_exception(kind, error, trace)))
    frames = [frame for frame in traceback.extract_tb(trace) if not frame.filename.startswith("<")]
    file = frames[-1].filename.rpartition("/")[2] if frames else ""
    where = f" at {file}:{frames[-1].lineno}" if frames else ""
    print(f"hedge: unexpected error (a bug): {kind.__name__}{where}{_keep(full)}", file=sys.stderr)


def _keep(full: str) -> str:
    if os.environ.get("HEDGE_DEBUG") == "1":
        return f"\n{full}"
    from hedge.config.dirs import prepare_dir, state_dir
    from hedge.errors import HedgeError

    try:
        folder = prepare_dir(state_dir(_given_state_dir(), os.environ) / ".crashes")
        path = folder / f"crash-{os.getpid()}.txt"
        path.write_text(full)
    except (HedgeError, OSError):
        return "; HEDGE_DEBUG=1 shows the traceback"
    return f"; traceback in {path}"


def _given_state_dir() -> "Path | None":
    from pathlib import Path

    given = sys.argv[1:]
    for word, after in zip(given, [*given[1:], ""], strict=True):
        if word == "--state-dir" and after:
            return Path(after)
        if word.startswith("--state-dir="):
            return Path(word.partition("=")[2])
    return None


if __name__ == "__main__":
    sys.exit(main())
