"""Goal: the record says what the results say, and nothing that no result says.

Method: results saved as runs save them, read back into a page.
"""

from pathlib import Path
from types import SimpleNamespace

import record
from many import run_many


def test_a_page_without_results_claims_nothing(tmp_path: Path):
    page = record.page(record.read(tmp_path), canaries=tmp_path)
    assert "No run of seeds is recorded" in page
    assert "No run of deaths is recorded" in page
    assert "No run of real kills is recorded" in page
    assert "No search for canaries is recorded" in page
    assert "rate of failure" not in page


def test_a_run_is_told_as_it_was(tmp_path: Path):
    total = run_many(1, 4, processes=1)
    path = record.save_seeds(total, "abc1234+", calm=False, results=tmp_path)
    page = record.page(record.read(tmp_path), canaries=tmp_path)
    assert path.parent == tmp_path
    assert "In all 4 runs of a seed with faults, 0 of which failed." in page
    assert f"| abc1234+ | swarm | {total.edition}:1 | 4 | 0 |" in page


def test_a_failure_stands_as_a_finding(tmp_path: Path):
    total = run_many(1, 2, processes=1)
    total.failed.append((2, "I3 at 1.000 s: short | long"))
    record.save_seeds(total, "abc1234+", calm=False, results=tmp_path)
    page = record.page(record.read(tmp_path), canaries=tmp_path)
    assert f"| {total.edition}:2 | abc1234+ | I3 at 1.000 s: short / long |" in page
    assert "rate of failure" not in page


def test_a_finding_is_closed_by_a_later_run_that_holds(tmp_path: Path):
    total = run_many(1, 2, processes=1)
    runs = []
    for ended, failed in (("2026-01-01", [(2, "I3: short")]), ("2026-01-02", [])):
        total.failed = failed
        record.save_seeds(total, "abc1234", calm=False, results=tmp_path)
        runs += [{**run, "ended": ended} for run in record.read(tmp_path)]
    first, later = runs
    assert "2:2" in record.page([first], canaries=tmp_path)
    assert "## Open findings\n\nNone." in record.page([later, first], canaries=tmp_path)


def test_kills_are_told_with_what_was_done_and_what_broke(tmp_path: Path):
    found = SimpleNamespace(
        kills=4, killed=5, lives=3, harms={"after the send": 5}, failed=[(2, "short | long")]
    )
    record.save_kills(found, "abc1234", first=1, seconds=90, results=tmp_path)
    page = record.page(record.read(tmp_path), canaries=tmp_path)
    assert "| abc1234 | 1 | 3 | 5 | 1 | 2 |" in page
    assert "| after the send | 5 |" in page
    assert "| 2 | abc1234 | short / long |" in page
    assert "No run of real kills is recorded" not in page
