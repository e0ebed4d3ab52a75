"""Goal: the truth about a venue's clock lies within the stated error, always.
Method: random round trips to a server clock that is off, drifts, and cuts its times to a grain.
"""

from hand_clock import MS, HandClock
from hypothesis import given
from hypothesis import strategies as st

from hedge.transport import ClockOffset
from hedge.transport.clock_offset import STRANGE_MAX, UNKNOWN_NS

trips = st.lists(
    st.tuples(
        st.integers(1, 120_000_000_000),
        st.integers(0, 400 * MS),
        st.integers(0, 400 * MS),
    ),
    min_size=1,
    max_size=40,
)

ROUNDING = 8
"""What the hand-moved clock and the server's own division may be off by, ns."""


class Server:
    def __init__(self, clock, offset, drift_ppm=0, grain=1):
        self.clock = clock
        self.began = clock.now()
        self.first = offset
        self.drift_ppm = drift_ppm
        self.grain = grain

    @property
    def offset(self):
        return self.first + (self.clock.now() - self.began) * self.drift_ppm // 1_000_000

    def trip(self, clock_offset, there, back):
        sent = self.clock.now()
        self.clock.advance(there / MS)
        server_at = self.clock.now() + self.offset
        server_at -= server_at % self.grain
        self.clock.advance(back / MS)
        clock_offset.learn(sent=sent, received=self.clock.now(), server_at=server_at)


@given(
    trips=trips,
    offset=st.integers(-5_000 * MS, 5_000 * MS),
    drift_ppm=st.integers(-100, 100),
    grain=st.sampled_from([1, 1_000, MS]),
)
def test_the_truth_lies_within_the_error(trips, offset, drift_ppm, grain):
    clock = HandClock()
    known = ClockOffset(clock, drift_ppm=101)
    server = Server(clock, offset, drift_ppm, grain)
    for pause, there, back in trips:
        clock.advance(pause / MS)
        server.trip(known, there, back)
        for later in (0, 30_000):
            clock.advance(later)
            assert abs(known.offset_ns - server.offset) <= known.error_ns + ROUNDING
            assert abs(known.now() - (clock.now() + server.offset)) <= known.error_ns + ROUNDING


@given(trips=trips, offset=st.integers(-5_000 * MS, 5_000 * MS))
def test_the_error_is_no_worse_than_that_of_the_fastest_trip_in_the_window(trips, offset):
    clock = HandClock()
    known = ClockOffset(clock, window_ms=600_000, drift_ppm=0)
    server = Server(clock, offset)
    done = []
    for pause, there, back in trips:
        clock.advance(pause / MS)
        server.trip(known, there, back)
        done.append((clock.now(), there + back))
        fastest = min(trip for at, trip in done if at >= clock.now() - 600_000 * MS)
        assert known.error_ns <= (fastest + MS) // 2 + 3


def test_without_a_sample_nothing_is_claimed():
    clock = HandClock()
    known = ClockOffset(clock)
    assert not known.known and known.offset_ns == 0 and known.error_ns == UNKNOWN_NS
    assert known.now() == clock.now() and known.now_ms() == clock.now() // MS


def test_one_slow_trip_does_not_spoil_a_fast_one():
    clock = HandClock()
    known = ClockOffset(clock)
    server = Server(clock, 700 * MS)
    server.trip(known, 1 * MS, 1 * MS)
    for _ in range(10):
        server.trip(known, 900 * MS, 1 * MS)
    assert abs(known.offset_ns - 700 * MS) <= 2 * MS
    assert known.offset_ms in (700, 701) and known.error_ns < 4 * MS
    assert abs(known.now_ms() - (clock.now() // MS + 700)) <= 2


def test_a_lone_lie_is_not_believed_but_doubted_and_a_clock_that_was_set_is():
    clock = HandClock()
    known = ClockOffset(clock)
    server = Server(clock, 0)
    server.trip(known, MS, MS)
    server.first = 3_000 * MS
    server.trip(known, MS, MS)
    assert abs(known.offset_ns) < 3 * MS, "one answer out of an old cache changes nothing"
    assert known.error_ns >= 3_000 * MS, "and is not forgotten: it may be the truth"
    server.first = 0
    server.trip(known, MS, MS)
    assert known.error_ns < 4 * MS
    server.first = -2_000 * MS
    for _ in range(STRANGE_MAX):
        assert abs(known.offset_ns) < 3 * MS
        clock.advance(1_000)
        server.trip(known, MS, MS)
    assert abs(known.offset_ns + 2_000 * MS) < 3 * MS and known.error_ns < 4 * MS


def test_a_fast_trip_of_long_ago_is_forgotten():
    clock = HandClock()
    known = ClockOffset(clock, window_ms=600_000, drift_ppm=0)
    server = Server(clock, 0)
    for n in range(1, 300):
        server.trip(known, n * MS, 0)
        clock.advance(20_000)
        assert len(known._best) <= 31
    assert known.error_ns > 100 * MS


def test_a_drift_is_followed_and_old_samples_leave():
    clock = HandClock()
    known = ClockOffset(clock, window_ms=600_000, drift_ppm=100)
    server = Server(clock, 0, drift_ppm=80)
    for _ in range(2_000):
        clock.advance(20_000)
        server.trip(known, 5 * MS, 5 * MS)
        assert len(known._best) <= 31
    assert server.offset > 3_000 * MS
    assert abs(known.offset_ns - server.offset) < 10 * MS
