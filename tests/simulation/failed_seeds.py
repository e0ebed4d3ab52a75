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
    1_096_443: "as those of WAITED: coins that came to an account that is followed",
    1_037_674: "a torn write kept that an adoption had been served, and not the adoption",
    1_169_955: "as 1037674, in a machine's death",
    1_071_674: "each change of the mode put off the alarm of an account that could not be read",
    1_078_670: "as 1071674",
    1_106_170: "as 1071674",
    1_062_711: "a stop ended as hedged on dust that came while the accounts were measured",
    1_101_561: "as 1062711",
    1_158_462: "an unwinding that was superseded left in HALT what it had not sold yet",
    1_170_794: "coins were dust at the price of the last process: UNWOUND with coins left",
    1_039_945: "a silent line spoke again, and told nothing of what it had left out: a flaw",
    1_152_576: "a process that was down for minutes was judged a second after its start: a flaw",
    1_182_249: "as 1152576",
    1_185_170: "as 1152576",
    1_099_554: "coins left the account that rested in an order to sell: a flaw of the world",
    1_132_789: "as 1099554",
    1_149_088: "as 1099554",
    1_008_773: "the books were judged by what they had read before the end of the faults: a flaw"
    " of the world",
    1_084_442: "as 1008773; and a build had ended on a leg whose push contradicted its last read",
    1_136_655: "as 1008773",
    1_175_634: "as 1008773",
    1_513_399: "coins of an adoption that no disk took were missed for ever: a flaw",
    2_006_042: "the process ended with the news that a line was back: a flaw of the world",
    2_470_346: "coins that the engine refused to adopt were the hedge's for the world: a flaw",
    2_037_805: "the host's clock was set an hour on between two processes: ids of a machine that"
    " had died were buried while an order was on its way",
    2_103_795: "a long of less than a lot, of trades by hand, kept the hedge from being sold: the"
    " venue's exemption for what only reduces was counted on, and no order is that small",
    2_180_652: "an account that could not be read, asked of by a new action, was said half a second"
    " late: nothing was due at its minute",
    3_220_622: "a machine that died forgot an adoption, and not the sale of its coins",
    3_305_821: "a gap was said until the read that found it, and hedged: a flaw of the checker",
    3_353_470: "an adoption waited for an account that could not be read, and nothing was said",
    3_225_748: "coins that one read had shown, and a ban kept from a second, were not said",
    1_305_094: "`stop` ended as hedged with an order that left during the last measurement",
    3_747_721: "a person had cleared what others had moved, and it explained the halt: a flaw",
    3_878_402: "a short lost before any price of this process was known was not said",
    10_140: "what others did before a first read was to be booked: a flaw of the history's judge",
}
"""The same of the newest edition."""

WAITED = (
    1_004_319, 1_010_806, 1_011_410, 1_018_997, 1_019_435, 1_020_930, 1_021_173, 1_025_716,
    1_029_125, 1_035_016, 1_038_441, 1_039_199, 1_041_719, 1_047_731, 1_051_753, 1_057_207,
    1_060_421, 1_062_854, 1_069_447, 1_070_148, 1_072_429, 1_072_606, 1_073_274, 1_079_087,
    1_080_520, 1_082_494, 1_084_253, 1_085_699, 1_086_530, 1_088_923, 1_092_075, 1_096_090,
    1_098_430, 1_111_585, 1_111_840, 1_114_095, 1_119_714, 1_121_419, 1_121_922, 1_124_415,
    1_130_489, 1_132_746, 1_140_705, 1_141_749, 1_150_865, 1_151_449, 1_152_621, 1_153_446,
    1_154_722, 1_164_653, 1_168_298, 1_172_363, 1_172_728, 1_173_771, 1_181_310, 1_194_729,
    1_198_728,
)  # fmt: skip
"""Coins that wait for their entry explain a halt; the checker had just been told otherwise."""
FAILED_SINCE |= dict.fromkeys(WAITED, "a flaw of the checker: coins that wait for their entry")
