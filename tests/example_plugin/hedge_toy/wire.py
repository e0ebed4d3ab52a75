"""The exchange's own words, as it sends them: whole numbers of units and ticks, microseconds."""

from decimal import Decimal
from typing import Literal

import msgspec

Way = Literal["B", "S"]


class Market(msgspec.Struct, frozen=True):
    id: str
    kind: Literal["cash", "perp"]
    coin: str
    money: str
    tick: Decimal
    unit: Decimal
    least: int
    most: int
    worth: Decimal
    open: bool


class Order(msgspec.Struct):
    cid: str
    no: int
    m: str
    way: Way
    n: int
    p: int
    done: int
    state: str
    shrink: bool
    at: int


class Deal(msgspec.Struct):
    seq: int
    cid: str
    no: int
    m: str
    way: Way
    n: int
    p: int
    fee: Decimal
    coin: str
    maker: bool
    why: str
    at: int
    worth: Decimal | None = None


class Coin(msgspec.Struct):
    coin: str
    free: Decimal
    held: Decimal
    worth: Decimal | None = None


class Stake(msgspec.Struct):
    m: str
    n: int
    cost: Decimal
    liq: Decimal | None = None


class Account(msgspec.Struct):
    mode: str
    lever: int
    free: Decimal
    wallet: Decimal
    ratio: Decimal
    rights: list[str]


class Rate(msgspec.Struct):
    rate: Decimal
    every: int
    next: int
    at: int
    live: bool


class Paid(msgspec.Struct):
    seq: int
    rate: Decimal
    every: int
    n: int
    cash: Decimal
    coin: str
    at: int


class Fees(msgspec.Struct):
    maker: Decimal
    taker: Decimal
    coin: str


class Book(msgspec.Struct):
    bid: int
    ask: int
    bids: int
    asks: int
    mark: Decimal | None = None
    index: Decimal = Decimal(0)


class No(msgspec.Struct):
    no: str
    why: str = ""
    wait: int = 1


class Frame(msgspec.Struct):
    id: int | None = None
    book: Book | None = None
    orders: list[Order] = []
    deals: list[Deal] = []
    purse: list[Coin] = []
    stakes: list[Stake] = []
    paid: list[Paid] = []
    rates: list[Rate] = []
