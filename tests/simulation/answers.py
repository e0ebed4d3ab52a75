"""What comes back for an order or a cancel: the first word counts, and only for who still lives."""

from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.model import Order, OrderReport

if TYPE_CHECKING:
    from shell import Shell


class Answer:
    """What comes back for one placed order; the first word counts."""

    __slots__ = ("open", "order", "shell")

    def __init__(self, shell: "Shell", order: Order) -> None:
        self.shell = shell
        self.order = order
        self.open = True

    def _take(self) -> bool:
        taken = self.open and self.shell.alive
        self.open = False
        return taken

    def reported(self, report: OrderReport) -> None:
        if self._take():
            shell = self.shell
            shell.world.mind.told(report)
            shell.feed(e.OrderReported(at=shell.world.host(), leg=self.order.leg, report=report))

    def refused(self, code: str) -> None:
        if self._take():
            self.shell.world.mind.settle(self.order.client_order_id)
            self.shell.feed(
                e.OrderRefused(
                    at=self.shell.world.host(),
                    leg=self.order.leg,
                    client_order_id=self.order.client_order_id,
                    code=code,
                )
            )

    def unknown(self, why: str) -> None:
        if self._take():
            self.shell.feed(
                e.OrderUnanswered(
                    at=self.shell.world.host(),
                    leg=self.order.leg,
                    client_order_id=self.order.client_order_id,
                    why=why,
                )
            )

    def timeout(self) -> None:
        self.unknown("no answer in time")


class CancelAnswer:
    """What comes back for one cancel."""

    __slots__ = ("command", "open", "shell")

    def __init__(self, shell: "Shell", command: c.CancelOrder) -> None:
        self.shell = shell
        self.command = command
        self.open = True

    def reported(self, report: OrderReport) -> None:
        if self.open and self.shell.alive:
            self.open = False
            at = self.shell.world.host()
            self.shell.world.mind.told(report)
            self.shell.feed(e.OrderReported(at=at, leg=self.command.leg, report=report))

    def unsettled(self, why: str) -> None:
        if self.open and self.shell.alive:
            self.open = False
            self.shell.feed(
                e.CancelUnsettled(
                    at=self.shell.world.host(),
                    leg=self.command.leg,
                    client_order_id=self.command.client_order_id,
                    why=why,
                )
            )
