"""A dry run: the venues' live prices, and an account of our own that nobody else can see."""

from hedge.runtime.dry.account import FILE_NAME, DryAccount
from hedge.runtime.dry.roles import DryCheck, DryFeed, DryFunding, DryGateway

__all__ = ["FILE_NAME", "DryAccount", "DryCheck", "DryFeed", "DryFunding", "DryGateway"]
