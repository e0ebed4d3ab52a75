"""What SIGINT, SIGTERM and SIGHUP ask of a process: one stop, or at a second word its end."""

import asyncio
import contextlib
import signal
from collections.abc import Callable


class Signals:
    """First: ``stop``, told by what; it confirms hedged. Second: ``end``. Never a liquidation.

    A terminal that goes away asks for the stop too, unless `nohup` had it ignored. Both a shell and
    the kernel tell of it, and a service manager after them: it is never a second word.
    """

    def __init__(self, stop: Callable[[str], None], end: Callable[[], None]) -> None:
        self._stop = stop
        self._end = end
        self._stopping = False
        self._told = False

    def catch(self, stack: contextlib.AsyncExitStack) -> None:
        """Listen until ``stack`` is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled)
            stack.callback(loop.remove_signal_handler, number)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Until the loop is closed: a hangup on the way out must not cut the cancels short.
            loop.add_signal_handler(signal.SIGHUP, self._stop_once, "hangup")
            stack.callback(self._deafen)

    def _signalled(self) -> None:
        if self._told:
            self._end()
        self._told = True
        self._stop_once("signal")

    def _stop_once(self, by: str) -> None:
        if not self._stopping:
            self._stopping = True
            self._stop(by)

    def _deafen(self) -> None:
        self._stopping = True
