"""Tells at the end of a run what each suite took of it."""

from collections import Counter

import pytest


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
