"""Goal: what cannot be written is not done, and after the end nothing is taken any more.
Method: one engine before a journal of this test's own.
"""

import pytest
from toy_terms import AT, TERMS

from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.errors import JournalError
from hedge.journal.committer import InlineCommitter
from hedge.journal.log import JournalLog
from hedge.journal.table import Projection
from hedge.model.numbers import SECOND
from hedge.runtime.pump import Pump

START = e.EngineStarted(at=AT, boot_id="boot", epoch=1, terms=TERMS)


class Scene:
    def __init__(self, folder):
        self.log = JournalLog.open(folder, hedge="toy", at=AT)
        self.failed, self.done = [], []
        committer = InlineCommitter(
            self.log, Projection.open(folder), every=1, on_error=self.failed.append
        )
        self.pump = Pump(Engine(TERMS), self.log, committer, fail=self.failed.append)
        self.pump.perform = self.done.append


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.log.close()


def test_a_journal_that_takes_nothing_stops_everything(scene):
    scene.log.close()
    scene.pump.feed(START)
    assert [type(error) for error in scene.failed] == [JournalError] and not scene.done
    scene.pump.feed(START)
    assert len(scene.failed) == 1


def test_after_the_end_nothing_is_taken_and_nothing_fails(scene):
    scene.pump.feed(START)
    done = len(scene.done)
    assert done
    scene.pump.close()
    scene.log.close()
    scene.pump.feed(e.TimerFired(at=AT + SECOND))
    assert not scene.failed and len(scene.done) == done
