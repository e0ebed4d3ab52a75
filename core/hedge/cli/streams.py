"""Standard input, output and error as a command finds them: none is missing, none breaks it."""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = range(3)


class OutputLost(OSError):
    """Standard output takes nothing more: its disk is full, or its terminal is gone."""


class Outlet(io.FileIO):
    """A descriptor whose refusals have a name; or, ``forgiving``, none: the text is dropped."""

    def __init__(self, fd: int, *, forgiving: bool) -> None:
        super().__init__(fd, "wb", closefd=False)
        self.forgiving = forgiving

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write some of it, or raise `OutputLost`, or `BrokenPipeError` where nobody reads."""
        try:
            taken: int | None = super().write(data)
        except OSError as error:
            if self.forgiving:
                return memoryview(data).nbytes
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputLost(error.errno, error.strerror) from None
        if taken is not None:
            return taken
        if not self.forgiving:  # whoever shares it made it one that does not wait
            raise OutputLost(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return memoryview(data).nbytes


def mend() -> None:
    """Put /dev/null where a stream is closed, and outlets that we know behind the others.

    Standard error forgives whatever happens to it. Where somebody has put another object in a
    stream's place, that one stays.
    """
    # Or the first file that is opened, the journal perhaps, is what a library takes for stderr.
    while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(fd, True)
    os.close(fd)
    if sys.stdin is None:
        sys.stdin = open(STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as we do
    if sys.stdout is sys.__stdout__:
        sys.stdout = _behind(sys.stdout, STDOUT, forgiving=False)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _behind(sys.stderr, STDERR, forgiving=True)


def _behind(old: TextIO | None, fd: int, *, forgiving: bool) -> TextIO:
    outlet = Outlet(fd, forgiving=forgiving)
    if not isinstance(old, io.TextIOWrapper):
        return io.TextIOWrapper(io.BufferedWriter(outlet), encoding="utf-8")
    return io.TextIOWrapper(
        outlet if old.write_through else io.BufferedWriter(outlet),
        encoding=old.encoding,
        errors=old.errors,
        line_buffering=old.line_buffering,
        write_through=old.write_through,
    )


def forgive() -> None:
    """Have standard output lose in silence what it cannot take, from now on."""
    buffer = getattr(sys.stdout, "buffer", None)
    outlet = getattr(buffer, "raw", buffer)
    if isinstance(outlet, Outlet):
        outlet.forgiving = True
