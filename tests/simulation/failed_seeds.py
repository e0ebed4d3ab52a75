"""Seeds that once failed, and what was wrong: they run first, for ever."""

FAILED = {
    # of the first edition
    17: "leftover coins below the spot minimum kept their hedge: LIQUIDATION never ended",
    22: "a short below the minimum of a venue without exemption held LIQUIDATION open for ever",
    26: "a long by hand was counted against the hedge: a flaw of the world",
    38: "a spot sale that shrinks the delta was refused room by the delta it shrinks",
    42: "the clock was set back between two processes: every timer of the engine stood still",
    63: "an execution of an unknown type was booked as a fill, and its ghost was hedged again",
    157: "a clock set back, and a doubt with a signature in the future",
    163: "`scale` before the first price spun for ever inside one event",
    305: "`stop` ended as hedged with a position that appeared during the last measurement",
    593: "`resolve` waited behind a `liquidate` that waited for the recovery that waited for it",
    883: "naked spot could not be sold: its own delta was counted as exposure that it would add",
    991: "UNWOUND was reported with a position that appeared during the last measurement",
    1057: "an over-hedge too small to close left no room in the budget for the last slice",
    1095: "the default budget was smaller than the least slice: nothing could be sold",
    1300: "an `adopt` that waited for the recovery was lost in a crash (kept out of the world)",
    2358: "dust was asked for at a price of zero before the first quote",
    3095: "a configured budget too small for a slice and a rest: a flaw of the world",
    346: "an unwinding waited for the order pace, from which what reduces is exempt",
    410: "the exposure of a resting order ignored the hedge ratio: placed and cancelled for ever",
}

FAILED_SINCE: dict[int, str] = {
    862: "spot was sold for a gap whose hedge was on the wire: both legs closed it",
    960: "coins adopted during the closing measurement: UNWOUND with coins left",
    1_710: "as 862",
    2_181: "as 862",
    501_762: "a sign of life after a gap of the stream renewed a price from before it",
    502_122: "a difference hidden by a doubt was not said, and buying went on beside it",
    602_218: "an unwinding was judged between a slice and its hedge: a flaw of the world",
    700_299: "as 602218",
    753_101: "a long too small to be sold alone held up the hedge for ever",
    827_595: "coins that came a second ago were asked for by the age of the gap before them: a flaw"
    " of the world",
    787_312: "coins adopted before the last measurement were dust, before the first price",
    740_189: "coins to adopt were refused by a read that was older than they",
    745_187: "more than 512 orders of a leg were not all counted as ours: a flaw of the world",
    740_515: "coins that were adopted and left between two looks: a flaw of the world",
}
"""The same of the newest edition."""
