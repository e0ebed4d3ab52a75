"""Goal: a plugin of one object answers every hook of its venue, and none of another's.
Method: roles of a module made up here, asked through the host as any plugin's.
"""

import sys
from types import ModuleType

import pytest
from pydantic import BaseModel

from hedge import VenueHooks
from hedge.errors import PluginError
from hedge.plugins.host import PluginHost
from hedge.roles import Can, LegKind, VenueContext


class Settings(BaseModel):
    url: str = ""


class Check:
    def __init__(self, context):
        self.context = context

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace, /):
        return None

    async def read_key_rights(self): ...

    async def read_clock_offset_ms(self): ...

    async def read_fees(self, symbol): ...


@pytest.fixture
def host(monkeypatch):
    module = ModuleType("acme_roles")
    module.AccountCheck, module.Settings = Check, Settings
    monkeypatch.setitem(sys.modules, "acme_roles", module)
    hooks = VenueHooks(
        "acme",
        roles="acme_roles",
        settings="acme_roles:Settings",
        legs=LegKind.FUTURES,
        can=Can.DEPTH,
        summary="an acme",
    )
    found = PluginHost(())
    found.register(hooks, "acme")
    return found


def test_the_venue_is_what_was_said(host):
    spec = host.spec("acme")
    assert (spec.legs, spec.can, spec.settings) == (LegKind.FUTURES, Can.DEPTH, Settings)
    assert spec.summary == "an acme" and host.settings("acme") == Settings()


def test_a_role_is_the_class_of_its_name_and_one_that_is_not_there_is_not_offered(host):
    context = VenueContext(settings=Settings(), clock=None)
    role, _ = host.account_check("acme", context)
    assert isinstance(role, Check) and role.context is context
    with pytest.raises(PluginError, match="no plugin offers spot_feed"):
        host.spot_feed("acme", context)
    with pytest.raises(PluginError):
        host.account_check("other", context)
