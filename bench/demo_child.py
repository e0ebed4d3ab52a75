"""Runs the demo in a process of its own and says how many facts its engine took, and how fast."""

import contextlib
import io
import json
import resource
import sys
import time

from hedge.decide.commands import AnyCommand
from hedge.decide.engine import Engine
from hedge.decide.events import AnyEvent
from hedge.runtime.demo import run_demo


def main() -> None:
    """Print one JSON object: events, seconds, the demo's exit code, peak memory in MB."""
    taken = 0
    handle = Engine.handle

    def counted(engine: Engine, event: AnyEvent) -> tuple[AnyCommand, ...]:
        nonlocal taken
        taken += 1
        return handle(engine, event)

    Engine.handle = counted  # type: ignore[method-assign,assignment] # the only way in
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = run_demo(seed=7, fast=True, as_json=True, state_dir=None)
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = {"events": taken, "seconds": took, "exit_code": code, "peak_mb": peak}
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
