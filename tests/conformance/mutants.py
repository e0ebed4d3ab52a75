"""Faults planted in the toy: for each, the cards that must fail, and the text that makes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``changes``: (old, new) in venue.py, or in another file where it is named.

    What the face does for the toy is spoiled by overriding it in the toy.
    """

    cards: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    file: str = "venue.py"


def of(cards: str, *texts: str, file: str = "venue.py") -> Mutant:
    """Return the mutant that the texts make: old, new, old, new."""
    pairs = tuple(zip(texts[::2], texts[1::2], strict=True))
    return Mutant(tuple(cards.split()), pairs, file)


PARSE, PLUGIN = "parse.py", "plugin.py"
LINK, ROLE, KEYED = (
    "    def subscribe(self",
    "    async def one(self",
    "        self._key = context",
)
REPORT_ID = 'venue_order_id=one.text("no"), side=side(one),\n        status'
PLACED = 'await self.session.write(partial(parse.report, of), "PUT", path, body, order=order)'
PATH = 'path = f"/orders/{order.client_order_id}"'
ORDERS_TOLD = 'found += [parse.report(of, one) for one in row.rows("orders")]'
PURSE_TOLD = 'found += [parse.balance(one) for one in row.rows("purse")]'
REPLACE = "__import__('msgspec').structs.replace"
MISSING = 'missing=frozenset({"WHAT"})'


def method(anchor: str, code: str) -> tuple[str, str]:
    """Return the change that puts a method before another; its body is indented by itself."""
    return anchor, code.rstrip() + "\n\n" + anchor


def hears(sink: str = "sink", take: str = "take", before: str = "") -> tuple[str, str]:
    """Return the change of what a stream's news go through; ``n`` is one of them."""
    return method(
        LINK,
        f"""\
    async def hear(self, kind, topic, sink, take):
        {before or "pass"}
        await super().hear(kind, topic, {sink}, {take})
""",
    )


def untold(what: str) -> tuple[str, str]:
    return hears(f"lambda n: None if type(n).__name__{what} else sink(n)")


def writes(when: str, error: str) -> tuple[str, str]:
    """Return the change that takes an error of a request that changes something for another."""
    return method(
        LINK,
        f"""\
    async def write(self, *given, **named):
        try:
            return await super().write(*given, **named)
        except Exception as error:  # the fault, planted: it looks at whatever comes
            if {when}:
                raise {error} from None
            raise
""",
    )


def patient(**more: int) -> tuple[str, str]:
    """Return the change of the settings' times."""
    return KEYED, f"        self.settings = self.settings.model_copy(update={more})\n{KEYED}"


MUTANTS = (
    of("instruments.listed", *method(ROLE, """\
    async def read_instruments(self):
        return ()
""")),
    of("instruments.alike", *method(ROLE, f"""\
    async def read_instrument(self, symbol):
        found = await super().read_instrument(symbol)
        return {REPLACE}(found, tick=found.tick * 10)
""")),
    of("instruments.missing", *method(ROLE, """\
    async def read_instrument(self, symbol):
        return (await self.read_instruments())[0]
""")),
    of("instruments.words", "quote=money,", "quote=coin,", file=PARSE),
    of("instruments.exact", 'tick=one.number("tick"), lot',
       'tick=type(unit)(float(one.number("tick"))), lot', file=PARSE),
    of("instruments.grid", 'quantity_min=one.number("least") * unit', "quantity_min=unit / 2",
       file=PARSE),
    of("instruments.trading", 'if one.flag("open")', 'if not one.flag("open")', file=PARSE),
    of("instruments.halted", '"TRADING" if one.flag("open") else "HALTED"', '"TRADING"',
       file=PARSE),
    of("market.quote", "symbol=of.symbol, bid=", 'symbol="BTC", bid=', file=PARSE),
    of("market.up", *untold('.startswith("Stream") and kind is MARKET')),
    of("market.fresh", "* of.lot, seen_at=now,", "* of.lot, seen_at=now // 1_000,", file=PARSE),
    of("market.mark", "mark=mark, index", "mark=mark * 2, index", file=PARSE),
    of("market.depth", 'bid_depth=book.number("bids") * of.lot', "bid_depth=0 * of.lot",
       file=PARSE),
    of("market.cut", *untold(' == "StreamDown" and kind is MARKET')),
    of("market.half_open stream.half_open", *patient(silence_ms=60_000)),
    of("market.silence hygiene.nothing_left", *method(LINK, """\
    async def hear(self, *given):
        kept, self.stack = self.stack, type(self.stack)()
        await super().hear(*given)
        LEFT.append(self.stack)
        self.stack = kept
"""), 'T = TypeVar("T")', 'T = TypeVar("T")\nLEFT = []'),
    of("orders.taking", "(order.quantity / of.lot).normalize()",
       "(order.quantity / of.lot / 2).to_integral_value()"),
    of("orders.result_ack", f"return {PLACED}",
       f"said = {PLACED}\n        working = model.ReportedStatus.WORKING\n"
       f"        return {REPLACE}(said, status=working, filled=0 * said.filled)"),
    of("orders.sides", '"B" if order.side is Side.BUY', '"B" if order.side is Side.SELL'),
    of("orders.resting", REPORT_ID, REPORT_ID.replace('one.text("no")', '""'), file=PARSE),
    of("orders.two_at_once", REPORT_ID, REPORT_ID.replace('one.text("no")', '"1"'), file=PARSE),
    of("orders.echo", 'quantity=one.number("n") * of.lot,\n        limit_price',
       'quantity=one.number("n"),\n        limit_price', file=PARSE),
    of("orders.cancel", 'return await self.session.write(made, "DELETE", path, {"m": market.id})',
       "return await self.read_order(symbol, client_order_id)"),
    of("orders.cancel_ended", 'LEVER ENDED"', 'LEVER"'),
    of("orders.read_missing", MISSING, "missing=frozenset()",
       "NO.split()", 'f"{NO} WHAT".split()'),
    of("orders.cancel_missing", MISSING, "missing=frozenset()"),
    of("orders.post_only", 'POST_ONLY: "rest"', 'POST_ONLY: "stay"'),
    of("orders.ioc_never_rests", 'IOC: "now"', 'IOC: "stay"'),
    of("orders.gtc", 'GTC: "stay"', 'GTC: "now"'),
    of("orders.duplicate_id", f"return {PLACED}",
       f"try:\n            return {PLACED}\n        except Refused:\n"
       "            return await self.read_order(order.symbol, order.client_order_id)"),
    of("orders.off_the_lot", "(order.quantity / of.lot).normalize()",
       "(order.quantity / of.lot).to_integral_value()"),
    of("orders.too_large", "LARGE FUNDS ", ""),
    of("orders.stale fills.none", "body, order=order)", "body)"),
    of("orders.reduce_only_flat orders.reduce_only_never_flips", '"shrink": order.reduce_only',
       '"shrink": False'),
    of("orders.partial_fill", 'STATES.get(one.text("state"), ReportedStatus.CANCELLED)',
       'STATES.get(one.text("state"), ReportedStatus.FILLED)', file=PARSE),
    of("orders.limits", *method(ROLE, """\
    @property
    def limits(self):
        return type(super().limits)(ack_timeout_ms=0)
""")),
    of("ambiguity.reply_lost ambiguity.request_lost", KEYED,
       f"        self.rest.write = self.rest.read\n{KEYED}"),
    of("ambiguity.error_performed ambiguity.error_refused",
       *writes('"HTTP 5" in str(error)', 'Refused("no", code="X")')),
    of("ambiguity.reply_late", *patient(ack_timeout_ms=10_000)),
    of("ambiguity.reply_garbled", *writes('"no JSON" in str(error)', 'Refused("no", code="X")')),
    of("ambiguity.cancel_reply_lost",
       *writes('type(error).__name__ == "OutcomeUnknown"', 'Unreachable("lost")')),
    of("ambiguity.reads_fail", *method(LINK, """\
    async def read(self, take, path, **query):
        try:
            return await super().read(take, path, **query)
        except Unreachable:
            try:
                return take([])
            except AttributeError:
                raise Unreachable("no list") from None
""")),
    of("ambiguity.gone",
       *writes('type(error).__name__ == "Unreachable"', 'Refused("gone", code="X")')),
    of("fills.told_and_read fills.duplicated", 'fill_id=one.text("seq")', "fill_id=str(id(one))",
       file=PARSE),
    of("fills.reordered", 'row.rows("deals")', 'row.rows("deals") if "purse" in row'),
    of("fills.whole", ' price=one.number("p") * of.tick,', ' price=one.number("p") * of.tick * 2,',
       file=PARSE),
    of("fills.futures_fee", 'fee=one.number("fee"),', 'fee=one.number("fee") * 100,', file=PARSE),
    of("fills.spot_identity", 'fee_asset=one.text("coin")', 'fee_asset="USDT"', file=PARSE),
    of("fills.fee_coin", 'fee_rate_quote=one.maybe("worth"),', "",
       'rate_quote=one.maybe("worth"),', "", file=PARSE),
    of("fills.foreign_spot fills.foreign_futures", "found += page",
       "found += [one for one in page if one.client_order_id]"),
    of("fills.since", "since=first, after=after", "since=0, after=after"),
    of("fills.every_page", "after = int(page[-1].fill_id)", "after = 10**12"),
    of("fills.maker", 'maker=one.flag("maker")', "maker=False", file=PARSE),
    of("fills.deleveraged", '"adl": FillKind.AUTO_DELEVERAGING', '"adl": FillKind.TRADE',
       file=PARSE),
    of("fills.liquidated", '"liq": FillKind.LIQUIDATION', '"liq": FillKind.TRADE', file=PARSE),
    of("account.balances", 'locked=one.number("held")', 'locked=one.number("held") + 1',
       file=PARSE),
    of("account.locked", 'free=one.number("free"), locked=one.number("held")',
       'free=one.number("free") + one.number("held"), locked=0 * one.number("held")', file=PARSE),
    of("account.flat", 'return await self.one(parse.position, "/stake", symbol)',
       'found = await self.one(parse.position, "/stake", symbol)\n'
       "        if not found.quantity:\n"
       '            raise Missing("no position")\n        return found',
       "import Refused, Unreachable", "import Missing, Refused, Unreachable"),
    of("account.short stream.position_told", 'quantity=one.number("n") * of.lot, entry',
       'quantity=one.number("n"), entry', file=PARSE),
    of("account.margin", 'free=one.number("free"), wallet', 'free=one.number("wallet"), wallet',
       file=PARSE),
    of("account.prepare", '"lever": leverage}', '"lever": 5}'),
    of("account.hedge_mode", 'PositionMode.ONE_WAY if mode == "net"',
       "PositionMode.ONE_WAY if mode"),
    of("account.fees", "taker=taker,", "taker=taker * 100,", file=PARSE),
    of("account.key", 'trade="trade" in rights', "trade=False"),
    of("account.key_withdraws", 'withdraw="withdraw" in rights', "withdraw=False"),
    of("account.key_reads_only", 'trade="trade" in rights', "trade=True"),
    of("account.clock", *method(ROLE, """\
    async def read_clock(self):
        return await super().read_clock() // 1_000
""")),
    of("account.clock_ahead", *method(ROLE, """\
    async def read_clock_offset_ms(self):
        return 0
""")),
    of("stream.up", *untold('.startswith("Stream") and kind is ACCOUNT')),
    of("stream.order_told", ORDERS_TOLD, ""),
    of("stream.cumulative", ORDERS_TOLD,
       f"found += [{REPLACE}(parse.report(of, one), filled=of.lot * 0)"
       ' for one in row.rows("orders")]'),
    of("stream.balance_told stream.deposit_told", PURSE_TOLD, ""),
    of("stream.venue_cancels", ORDERS_TOLD,
       ORDERS_TOLD.replace('"orders")', '"orders") if one.text("state") != "gone"')),
    of("stream.cut", *untold(' == "StreamDown" and kind is ACCOUNT')),
    of("stream.closed stream.gap", '        return {"sub": topic',
       "        heard = self.__dict__.setdefault('heard', [])\n"
       "        assert topic not in heard\n        heard.append(topic)\n"
       '        return {"sub": topic'),
    of("stream.nonsense", *hears(take="frail", before="""dead = []

        def frail(row):
            if dead:
                return []
            try:
                return list(take(row))
            except Exception:  # the fault, planted: one bad row ends it all
                dead.append(row)
                raise
""")),
    of("stream.event_first", f"return {PLACED}",
       f"said = {PLACED}\n        ACKED.add(order.client_order_id)\n        return said",
       'row.rows("deals")', 'row.rows("deals") if one.text("cid") in ACKED',
       'T = TypeVar("T")', 'T = TypeVar("T")\nACKED = set()'),
    of("stream.exact", ' price=one.number("p") * of.tick,',
       ' price=type(of.tick)(float(one.number("p")) * 0.1),', file=PARSE),
    of("money.rate", 'next_at=one.whole("next") * US', 'next_at=one.whole("next")', file=PARSE),
    of("money.rates", "for one in await self.read_instruments()]", "for one in ()]"),
    of("money.rate_told", 'row.rows("rates")', 'row.rows("rates")[1:]'),
    of("money.history", "since=first, until=last", "since=first, until=last + 10**12"),
    of("money.settlement", 'cash=one.number("cash")', 'cash=-one.number("cash")', file=PARSE),
    of("money.payments_since", '"/paid", symbol, since=-(-since // US)',
       '"/paid", symbol, since=0'),
    of("money.flat_pays_nothing", "since=first, until=last", "since=first, until=first"),
    of("errors.limited", 'limited=frozenset({"SLOWLY"})', "limited=frozenset()"),
    of("errors.one_line", *writes("type(error) is Refused", "Refused(str(error))")),
    of("errors.unknown_symbol", *method(ROLE, """\
    async def market(self, symbol):
        try:
            return await super().market(symbol)
        except Exception:  # the fault, planted: no error of ours is left
            raise KeyError(symbol) from None
""")),
    of("errors.wrong_key", '"KEY MAC ', '"'),
    of("hygiene.import_time", 'VENUE = "toy"',
       'VENUE = "toy"\nimport time\nuntil = time.process_time() + 0.8\n'
       "while time.process_time() < until:\n    pass", file=PLUGIN),
    of("hygiene.import_quiet", 'VENUE = "toy"', 'VENUE = "toy"\nprint("hello")', file=PLUGIN),
    of("hygiene.not_mine", "hooks = VenueHooks(", """\
class Greedy(VenueHooks):
    def _role(self, venue, name, context):
        return super()._role(VENUE, name, context)


hooks = Greedy(""", file=PLUGIN),
    of("hygiene.unopened", KEYED,
       f"        self.task = asyncio.ensure_future(asyncio.sleep(60))\n{KEYED}",
       "from functools", "import asyncio\nfrom functools"),
    of("hygiene.settings", "    url: str", '    model_config = {"extra": "ignore"}\n    url: str',
       file="settings.py"),
    of("hygiene.loop_is_free", PATH, f"__import__('time').sleep(0.3)\n        {PATH}"),
    of("hygiene.reopened", *method(LINK, """\
    async def open(self):
        if CLOSED:
            raise Unreachable("closed")
        await super().open()

    async def close(self):
        await super().close()
        if not self._users:
            CLOSED.append(self)
"""), 'T = TypeVar("T")', 'T = TypeVar("T")\nCLOSED = []'),
    of("hygiene.secrets", *method(LINK, """\
    def __repr__(self):
        return f"Link({self._key})"
""")),
    of("hygiene.prints_nothing", PATH, f"print('placing')\n        {PATH}"),
    of("hygiene.on_the_loop",
       *hears("lambda n: __import__('threading').Thread(target=sink, args=(n,)).start()")),
)  # fmt: skip

WITHOUT = {"ambiguity.order_in_a_gap"}
"""Cards that no mutant here fails: their fault is a race that a text does not plant."""
