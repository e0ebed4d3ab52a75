"""Faults planted in the toy: for each, the cards that must fail, and the text that makes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``changes``: (old, new) in venue.py, or in another file where it is named."""

    cards: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    file: str = "venue.py"


def of(cards: str, *texts: str, file: str = "venue.py") -> Mutant:
    """Return the mutant that the texts make: old, new, old, new."""
    pairs = tuple(zip(texts[::2], texts[1::2], strict=True))
    return Mutant(tuple(cards.split()), pairs, file)


REPORT_ID = "venue_order_id=str(one.no), side=side(one.way),\n        status"
PLACED = 'return report(market, await self.link.write(wire.Order, "PUT", path, body, at, valid))'
WRITE = "reply = await self.rest.write(method, path, body=data, headers=headers, timeout_ms=limit)"
STATE = "on_state=sink, kind=kind"
UNTOLD = "on_state=lambda n: None if {} else sink(n), kind=kind"
IS_DOWN = 'type(n).__name__ == "StreamDown" and kind is StreamKind.{}'
WHAT = 'raise Missing(f"toy: {no.why}")'
ENTER = "await self.stack.enter_async_context(socket)"
ORDERS_TOLD = "found += [report(market, one) for one in frame.orders]"
PURSE_TOLD = "found += [balance(one) for one in frame.purse]"
DEALS_TOLD = "once([fill(market, one) for one in frame.deals])"
SUBSCRIBED = 'await ask(line, {"sub": topic, "auth": said})'
STAMP = "at, valid = order.signed_at, order.recv_window_ms"
DECODED = "frame = msgspec.json.decode(view, type=wire.Frame, strict=False)"
PLUGIN = "plugin.py"

MUTANTS = (
    of("instruments.listed", "in listed if one.kind == self.kind)", "in listed[2:])"),
    of("instruments.alike", "return found[symbol]",
       "return msgspec.structs.replace(found[symbol], tick=found[symbol].tick * 10)"),
    of("instruments.missing", 'raise Missing(f"toy has no {symbol}")\n        return found[symbol]',
       "return next(iter(found.values()))\n        return found[symbol]"),
    of("instruments.words", "quote=one.money,", "quote=one.coin,"),
    of("instruments.exact", "tick=one.tick, lot", "tick=Decimal(float(one.tick)), lot"),
    of("instruments.grid", "quantity_min=one.least * one.unit", "quantity_min=one.unit / 2"),
    of("instruments.trading", "if one.open else", "if not one.open else"),
    of("instruments.halted", "if one.open else InstrumentStatus.HALTED", ""),
    of("market.quote", "symbol=symbol, bid=book.bid", 'symbol="BTC", bid=book.bid'),
    of("market.up", STATE, UNTOLD.format("kind is StreamKind.MARKET")),
    of("market.fresh", "seen_at=now,\n", "seen_at=now // 1_000,\n"),
    of("market.mark", "mark=book.mark, index", "mark=book.mark * 2, index"),
    of("market.depth", "bid_depth=book.bids * unit", "bid_depth=0 * unit"),
    of("market.cut", STATE, UNTOLD.format(IS_DOWN.format("MARKET"))),
    of("market.half_open stream.half_open", "silence_max_ms=silence", "silence_max_ms=60_000"),
    of("market.silence", ENTER, "await socket.__aenter__()"),
    of("orders.taking", "(order.quantity / market.unit).normalize()",
       "(order.quantity / market.unit / 2).to_integral_value()"),
    of("orders.result_ack", PLACED,
       "return msgspec.structs.replace("
       + PLACED.removeprefix("return ")
       + ", status=ReportedStatus.WORKING, filled=Decimal(0))"),
    of("orders.sides", '"B" if order.side is Side.BUY', '"B" if order.side is Side.SELL'),
    of("orders.resting", REPORT_ID, REPORT_ID.replace("str(one.no)", '""')),
    of("orders.two_at_once", REPORT_ID, REPORT_ID.replace("str(one.no)", '"1"')),
    of("orders.echo", "quantity=one.n * market.unit, limit_price",
       "quantity=Decimal(one.n), limit_price"),
    of("orders.cancel",
       'return report(market, await self.link.write(wire.Order, "DELETE", path, {"m": market.id}))',
       "return await self.read_order(symbol, client_order_id)"),
    of("orders.cancel_ended", "if no.no in NO:", 'if no.no in NO - {"ENDED"}:'),
    of("orders.read_missing", WHAT, 'raise Refused("no", code="WHAT")'),
    of("orders.cancel_missing", WHAT, "raise unsure(no.why)"),
    of("orders.post_only", 'POST_ONLY: "rest"', 'POST_ONLY: "stay"'),
    of("orders.ioc_never_rests", 'IOC: "now"', 'IOC: "stay"'),
    of("orders.gtc", 'GTC: "stay"', 'GTC: "now"'),
    of("orders.duplicate_id", PLACED,
       f"try:\n            {PLACED}\n        except Refused:\n"
       "            return await self.read_order(order.symbol, order.client_order_id)"),
    of("orders.off_the_lot", "(order.quantity / market.unit).normalize()",
       "(order.quantity / market.unit).to_integral_value()"),
    of("orders.too_large", '"LARGE", "FUNDS",', ""),
    of("orders.stale fills.none", STAMP, "at, valid = self.link.offset.now(), 2_000"),
    of("orders.reduce_only_flat orders.reduce_only_never_flips", '"shrink": order.reduce_only',
       '"shrink": False'),
    of("orders.partial_fill", "STATES.get(one.state, ReportedStatus.CANCELLED)",
       "STATES.get(one.state, ReportedStatus.FILLED)"),
    of("orders.limits", "VenueLimits(ack_timeout_ms=self.link.settings.ack_timeout_ms)",
       "VenueLimits(ack_timeout_ms=0)"),
    of("ambiguity.reply_lost ambiguity.request_lost", WRITE, WRITE.replace("write(", "read(")),
    of("ambiguity.error_performed ambiguity.error_refused",
       "judged(reply, kind, OutcomeUnknown)", "judged(reply, kind, Refused)"),
    of("ambiguity.reply_late", "limit = self.settings.ack_timeout_ms", "limit = 10_000"),
    of("ambiguity.reply_garbled", 'raise unsure(f"toy: HTTP {reply.status}: {error}")',
       'raise Refused("garbled", code="X")'),
    of("ambiguity.cancel_reply_lost", WRITE,
       f"try:\n            {WRITE}\n        except OutcomeUnknown:\n"
       '            raise Unreachable("lost") from None'),
    of("ambiguity.reads_fail", "return judged(reply, kind, Unreachable)",
       "if reply.status > 500:\n            return msgspec.json.decode(b'[]', type=kind)\n"
       "        return judged(reply, kind, Unreachable)"),
    of("ambiguity.gone", WRITE,
       f"try:\n            {WRITE}\n        except Unreachable:\n"
       '            raise Refused("gone", code="X") from None'),
    of("fills.told_and_read fills.duplicated", "fill_id=str(one.seq)",
       'fill_id=f"{one.seq}-{id(one)}"'),
    of("fills.reordered", DEALS_TOLD,
       DEALS_TOLD.replace("frame.deals", "frame.deals if frame.purse")),
    of("fills.whole", "price=one.p * market.tick,", "price=one.p * market.tick * 2,"),
    of("fills.futures_fee", "fee=one.fee,", "fee=one.fee * 100,"),
    of("fills.spot_identity", "fee_asset=one.coin", 'fee_asset="USDT"'),
    of("fills.fee_coin", "fee_rate_quote=one.worth,", "", "rate_quote=one.worth)", ")"),
    of("fills.foreign_spot fills.foreign_futures",
       "for one in page]", "for one in page if one.cid]"),
    of("fills.since", "since=-(-since // US), after", "since=0, after"),
    of("fills.every_page", "after = page[-1].seq", "after = 10**12"),
    of("fills.maker", "maker=one.maker", "maker=False"),
    of("fills.deleveraged", '"adl": FillKind.AUTO_DELEVERAGING', '"adl": FillKind.TRADE'),
    of("fills.liquidated", '"liq": FillKind.LIQUIDATION', '"liq": FillKind.TRADE'),
    of("account.balances", "locked=one.held", "locked=one.held + 1"),
    of("account.locked", "free=one.free, locked=one.held",
       "free=one.free + one.held, locked=Decimal(0)"),
    of("account.flat", "cost, size = one.cost, one.n * market.unit",
       "cost, size = one.cost, one.n * market.unit\n    if not size:\n"
       '        raise Missing("no position")'),
    of("account.short stream.position_told", "cost, size = one.cost, one.n * market.unit",
       "cost, size = one.cost, Decimal(one.n)"),
    of("account.margin", "free=now.free", "free=now.wallet"),
    of("account.prepare", '"lever": leverage}', '"lever": 5}'),
    of("account.hedge_mode", 'PositionMode.ONE_WAY if mode == "net"',
       "PositionMode.ONE_WAY if mode"),
    of("account.fees", "taker=fees.taker", "taker=fees.taker * 100"),
    of("account.key", 'trade="trade" in rights', "trade=False"),
    of("account.key_withdraws", 'withdraw="withdraw" in rights', "withdraw=False"),
    of("account.key_reads_only", 'trade="trade" in rights', "trade=True"),
    of("account.clock", "return await self.link.learn_clock()\n\n    async def read_order",
       "return await self.link.learn_clock() // 1_000\n\n    async def read_order"),
    of("account.clock_ahead", "return self.link.offset.offset_ms", "return 0"),
    of("stream.up", STATE, UNTOLD.format("kind is StreamKind.ACCOUNT")),
    of("stream.order_told", ORDERS_TOLD, ""),
    of("stream.cumulative", ORDERS_TOLD,
       "found += [msgspec.structs.replace(report(market, o), filled=Decimal(0))"
       " for o in frame.orders]"),
    of("stream.balance_told stream.deposit_told", PURSE_TOLD, ""),
    of("stream.venue_cancels", ORDERS_TOLD,
       ORDERS_TOLD.replace("frame.orders", 'frame.orders if one.state != "gone"')),
    of("stream.cut", STATE, UNTOLD.format(IS_DOWN.format("ACCOUNT"))),
    of("stream.closed stream.gap", SUBSCRIBED,
       f"if line.number > 1:\n                await asyncio.sleep(60)\n            {SUBSCRIBED}"),
    of("stream.nonsense", DECODED,
       "if getattr(self, 'dead', False):\n                return\n"
       "            self.dead = bytes(view) == b']'\n"
       f"            {DECODED}"),
    of("stream.event_first", PLACED,
       f"said = {PLACED.removeprefix('return ')}\n"
       "        ACKED.add(order.client_order_id)\n        return said",
       DEALS_TOLD, DEALS_TOLD.replace("frame.deals", "frame.deals if one.cid in ACKED"),
       'T = TypeVar("T")', 'T = TypeVar("T")\nACKED: set[str] = set()'),
    of("stream.exact", "price=one.p * market.tick,", "price=Decimal(float(one.p) * 0.1),"),
    of("money.rate", "next_at=one.next * US", "next_at=one.next"),
    of("money.rates", 'if m.kind == "perp"', 'if m.kind == "swap"'),
    of("money.rate_told", "for one in frame.rates]", "for one in frame.rates[1:]]"),
    of("money.history", "since=first, until=last", "since=first, until=last + 10**12"),
    of("money.settlement", "cash=one.cash", "cash=-one.cash"),
    of("money.payments_since",
       '"/paid", m=market.id, since=first', '"/paid", m=market.id, since=0'),
    of("money.flat_pays_nothing", "since=first, until=last", "since=first, until=first"),
    of("errors.limited", 'if no.no == "SLOWLY":', 'if no.no == "WAIT":'),
    of("errors.one_line", 'raise Refused(f"toy: {no.no} {no.why}", code=no.no)',
       'raise Refused(f"toy: {no.no} {no.why}")'),
    of("errors.unknown_symbol",
       'raise Missing(f"toy has no {symbol}")\n        return self.markets',
       "raise KeyError(symbol)\n        return self.markets"),
    of("errors.wrong_key", '"KEY", "MAC",', ""),
    of("hygiene.import_time", 'VENUE = "toy"',
       'VENUE = "toy"\nimport time\nuntil = time.process_time() + 0.8\n'
       "while time.process_time() < until:\n    pass", file=PLUGIN),
    of("hygiene.import_quiet", 'VENUE = "toy"', 'VENUE = "toy"\nprint("hello")', file=PLUGIN),
    of("hygiene.not_mine", "if venue != VENUE:", "if not venue:", file=PLUGIN),
    of("hygiene.unopened", "self.users, self.lock,",
       "self.task = asyncio.ensure_future(asyncio.sleep(60))\n        self.users, self.lock,"),
    of("hygiene.settings", 'extra="forbid"', 'extra="ignore"', file="settings.py"),
    of("hygiene.loop_is_free", STAMP, f"__import__('time').sleep(0.3)\n        {STAMP}"),
    of("hygiene.nothing_left", ENTER, "await socket.__aenter__()"),
    of("hygiene.reopened", "await self.stack.aclose()",
       "await self.stack.aclose()\n            roles.closed = True",
       "self.users += 1\n", "self.users += 1\n            if getattr(roles, 'closed', False):\n"
       '                raise Unreachable("closed")\n',
       "US = 1_000\n", "US = 1_000\nimport sys\nroles = sys.modules[__name__]\n"),
    of("hygiene.secrets", "    async def open(self)",
       "    def __repr__(self) -> str:\n        return f'Link({self._key})'\n\n"
       "    async def open(self)"),
    of("hygiene.prints_nothing", STAMP, f"print('placing')\n        {STAMP}"),
    of("hygiene.on_the_loop", "for news in parse(frame):\n                sink(news)",
       "for news in parse(frame):\n"
       "                __import__('threading').Thread(target=sink, args=(news,)).start()"),
)  # fmt: skip

WITHOUT = {"ambiguity.order_in_a_gap"}
"""Cards that no mutant here fails: their fault is a race that a text does not plant."""
