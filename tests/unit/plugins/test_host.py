"""Goal: a plugin that is wrong is named with what is wrong, and never replaced in silence.

Method: real packages in a temporary directory, each with one fault; the host is asked as the
runtime asks it.
"""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from hedge.errors import ConfigError, HedgeError, PluginError
from hedge.plugins import PluginHost, discover, load_plugins
from hedge.roles import NotifierContext, VenueContext

ALLOW = ("hedge-acme==1.2.0", "hedge-other==1.2.0")


def context(**secrets: str) -> VenueContext:
    clock: Any = None
    return VenueContext(settings=None, clock=clock, secrets=secrets)


def host_of(folder: Path, *wanted: str, **more: Any) -> PluginHost:
    return load_plugins(wanted, allow=ALLOW, found=discover([str(folder)]), **more)


def test_typed_call_returns_the_object_and_its_provider(tmp_path: Path, make) -> None:
    make("acme")
    feed, provider = host_of(tmp_path, "acme").spot_feed("acme", context())
    assert type(feed).__name__ == "Feed"
    assert provider == "acme (hedge-acme 1.2.0)"


def test_loads_only_what_is_needed(tmp_path: Path, make) -> None:
    make("acme")
    other = make("other", distribution="hedge-other")
    host = host_of(tmp_path, "acme")
    assert host.loaded == ("acme",)
    assert list(host.venues()) == ["acme"]
    assert other not in sys.modules
    assert host.spec("acme:sub").name == "acme"


def test_a_venue_under_another_entry_point_is_found(tmp_path: Path, make, bodies) -> None:
    make("vendor", "".join(bodies).format(name="inner", can="NONE"))
    assert host_of(tmp_path, "inner").provider("inner") == "hedge-acme 1.2.0"


FAULTS = {
    "async def hook": ("@hookimpl\nasync def hedge_spot_feed(venue, context): ...", "is async"),
    "async generator": ("@hookimpl\nasync def hedge_spot_feed(venue, context): yield", "is async"),
    "misspelt": ("@hookimpl\ndef hedge_spot_fed(venue, context): ...", "nearest: hedge_spot_feed"),
    "misspelt, unmarked": ("def hedge_notifyer(name, context): ...", "nearest: hedge_notifier"),
    "unmarked": ("def hedge_spot_gateway(venue, context): ...", "not marked with @hookimpl"),
    "marked, foreign name": ("@hookimpl\ndef spot_feed(venue, context): ...", "is no hook"),
    "default": ("@hookimpl\ndef hedge_spot_feed(venue, context=None): ...", "has a default"),
    "unknown argument": ("@hookimpl\ndef hedge_spot_feed(venu): ...", "nearest: venue"),
    "generator": ("@hookimpl\ndef hedge_spot_feed(venue): yield", "wrapper=True"),
    "venues of nonsense": ("@hookimpl\ndef hedge_venues(): return 5", "list of VenueSpec"),
    "venues of strings": ("@hookimpl\ndef hedge_venues(): return ['x']", "list of VenueSpec"),
    "venues raise": ("@hookimpl\ndef hedge_venues(): 1 / 0", "ZeroDivisionError"),
    "import fails": ("import no_such_module_at_all", "ModuleNotFoundError"),
    "import exits": ("raise SystemExit(0)", "SystemExit"),
    "syntax": ("def", "SyntaxError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_plugin_is_quarantined_and_named(tmp_path: Path, make, fault: str) -> None:
    body, reason = FAULTS[fault]
    make("broken", "from hedge.hookspecs import hookimpl\n" + body)
    make("good", distribution="hedge-other")
    host = host_of(tmp_path)
    host.load_all()
    assert host.loaded == ("good",)
    assert reason in host.broken["broken"]
    assert "broken" in host.broken["broken"]
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            host.spec("broken")
        assert reason in str(caught.value)
    assert host.spot_feed("good", context())[1] == "good (hedge-other 1.2.0)"


def test_a_broken_venue_is_not_served_by_who_serves_everything(
    tmp_path: Path, make, bodies
) -> None:
    make("broken", "raise RuntimeError('no')")
    any_venue = bodies[1].replace('venue.partition(":")[0] == "{name}"', "True")
    greedy = any_venue.replace("@hookimpl", "@hookimpl(trylast=True)")
    make("greedy", bodies[0].format(name="greedy", can="NONE") + greedy, distribution="hedge-other")
    host = host_of(tmp_path)
    host.load_all()
    with pytest.raises(PluginError, match="RuntimeError: no"):
        host.spot_feed("broken", context())
    assert host.spot_feed("greedy:broken", context())[1] == "greedy (hedge-other 1.2.0)"


def test_nobody_takes_the_venue_of_another(tmp_path: Path, make, bodies) -> None:
    make("acme", "".join(bodies).format(name="other", can="NONE"))
    make("other", distribution="hedge-other")
    host = host_of(tmp_path)
    host.load_all()
    assert "may not serve other" in host.broken["acme"]
    assert host.provider("other") == "hedge-other 1.2.0"


def test_own_plugin_is_asked_first_and_a_vendor_may_fill_one_role(
    tmp_path: Path, make, bodies
) -> None:
    make("acme", bodies[0].format(name="acme", can="NONE"))
    any_venue = bodies[1].replace('venue.partition(":")[0] == "{name}"', "True")
    make("vendor", "from hedge.hookspecs import hookimpl\n" + any_venue, distribution="hedge-other")
    host = host_of(tmp_path, "acme")
    assert host.loaded == ("acme",)
    assert host.spot_feed("acme", context())[1] == "vendor (hedge-other 1.2.0)"


VENDOR = """
TOLD = []

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    licence: str = ""

@hookimpl
def hedge_venues():
    return [VenueSpec(name="vendor", legs=LegKind.SPOT, can=Can.NONE, settings=Settings)]

@hookimpl
def hedge_spot_feed(venue, context):
    TOLD.append(context)
    return Feed()
"""


def test_who_fills_a_role_of_another_s_venue_sees_none_of_its_keys(
    tmp_path: Path, make, bodies
) -> None:
    make("acme", bodies[0].format(name="acme", can="NONE"))
    imports, feed = bodies[0].partition("class Settings")[0], bodies[1].partition("@hookimpl")[0]
    module = make("vendor", imports + feed + VENDOR, distribution="hedge-other")
    venues = {"acme": {"seed": 3}, "vendor": {"licence": "ours"}}
    host = host_of(tmp_path, "acme", venues=venues)
    asked = context(api_key="MARK")
    asked.shared["line"] = "MARK"
    for _ in range(2):
        host.spot_feed("acme", asked)
    first, second = sys.modules[module].TOLD
    assert "MARK" not in repr(first)
    assert first.settings.licence == "ours"
    assert first.shared is second.shared is not asked.shared


WRAPPER = """
from hedge.hookspecs import hookimpl
@hookimpl(wrapper=True)
def hedge_spot_feed(venue, context):
    feed = yield
    if feed is not None:
        feed.wrapped = True
    return feed
"""


def test_a_wrapper_wraps_whatever_was_returned(tmp_path: Path, make) -> None:
    make("acme")
    make("wrap", WRAPPER, distribution="hedge-engine")
    host = host_of(tmp_path, "acme")
    host.load("wrap")
    feed, provider = host.spot_feed("acme", context())
    assert feed.wrapped
    assert provider == "acme (hedge-acme 1.2.0)"


def test_a_third_party_does_not_wrap_what_is_not_its_own(tmp_path: Path, make) -> None:
    make("acme")
    make("wrap", WRAPPER, distribution="hedge-other")
    host = host_of(tmp_path, "acme")
    host.load("wrap")
    feed, _ = host.spot_feed("acme", context(api_key="MARK"))
    assert not hasattr(feed, "wrapped")


ANSWERS = {
    "lacks": ("class Feed:\n    async def read_instruments(self): ...", "lacks"),
    "sync": ("class Feed(Base):\n    def listen(self, symbol, sink): ...", "not an async def"),
    "signature": ("class Feed(Base):\n    async def listen(self): ...", "too many positional"),
    "coroutine": ("async def Feed(): ...", "returned a coroutine"),
    "raises": ("def Feed(): raise ValueError('key=' + 'MARK')", "ValueError: key=***"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_fills_no_role_is_refused(tmp_path: Path, make, bodies, answer: str) -> None:
    body, reason = ANSWERS[answer]
    base = bodies[1].format(name="acme").replace("class Feed:", "class Base:")
    make("acme", bodies[0].format(name="acme", can="NONE") + base + "\n" + body)
    with pytest.raises(PluginError) as caught:
        host_of(tmp_path, "acme").spot_feed("acme", context(api_key="MARK"))
    assert reason in str(caught.value)
    assert "hedge-acme 1.2.0" in str(caught.value)
    assert "MARK" not in str(caught.value)


def test_a_role_nobody_offers(tmp_path: Path, make) -> None:
    make("acme")
    with pytest.raises(PluginError, match="no plugin offers funding_source for 'acme'"):
        host_of(tmp_path, "acme").funding_source("acme", context())


def test_unknown_and_absent_venues(tmp_path: Path, make) -> None:
    make("acme")
    host = host_of(tmp_path)
    with pytest.raises(PluginError, match="no plugin serves 'acne'; nearest: acme"):
        host.spec("acne")
    for extra, venue in (("binance", "binance"), ("ccxt", "ccxt:okx")):
        with pytest.raises(PluginError) as caught:
            host.spec(venue)
        assert re.search(rf" -m pip install .*\[{extra}\]'$", str(caught.value))
        assert caught.value.exit_code == 9


def test_an_extra_whose_package_is_absent_names_the_install_line(tmp_path: Path, make) -> None:
    make("binance", "import no_such_sdk", distribution="hedge-engine")
    line = rf"{re.escape(sys.executable)} -m pip install 'hedge-engine\[binance\]'$"
    with pytest.raises(PluginError, match=rf"no_such_sdk.*{line}"):
        load_plugins(["binance"], found=discover([str(tmp_path)]))


def test_in_a_checkout_the_install_line_names_its_folder(tmp_path: Path, make) -> None:
    make("binance", "import no_such_sdk", distribution="hedge-engine", editable="/src/my%20hedge")
    line = rf"{re.escape(sys.executable)} -m pip install -e '/src/my hedge\[binance\]'$"
    with pytest.raises(PluginError, match=rf"no_such_sdk.*{line}"):
        load_plugins(["binance"], found=discover([str(tmp_path)]))


def test_settings_are_checked_against_the_plugins_model(tmp_path: Path, make) -> None:
    make("acme")
    good = host_of(tmp_path, "acme", venues={"acme": {"seed": "3", "environment": "testnet"}})
    assert good.settings("acme").seed == 3
    assert good.environment("acme") == "testnet"
    both = host_of(
        tmp_path, "acme", venues={"acme": {"seed": 3}, "acme:x": {"environment": "demo"}}
    )
    assert (both.settings("acme:x").seed, both.environment("acme:x")) == (3, "demo")
    bad = host_of(tmp_path, "acme", venues={"acme": {"sed": 3, "seed": "x"}})
    with pytest.raises(ConfigError) as caught:
        bad.settings("acme")
    lines = str(caught.value).splitlines()
    assert lines[0] == 'unknown key "sed" in venues.acme; nearest: "seed"'
    assert lines[1].startswith("venues.acme.seed: Input should be a valid integer")


def test_environment_of_real_and_virtual_venues(tmp_path: Path, make) -> None:
    make("acme")
    make("virtual", distribution="hedge-other", can="VIRTUAL_TIME")
    raw = {"virtual": {"environment": "live"}}
    host = host_of(tmp_path, "acme", "virtual", venues=raw)
    assert host.environment("acme") == "live"
    assert host.environment("virtual") == "local"


NOTIFIER = """
from hedge.hookspecs import hookimpl
TOLD = []

@hookimpl
def hedge_notifier(name, context):
    TOLD.append(context)
    return None
"""


def test_a_notifier_s_keys_are_told_to_nobody_else(tmp_path: Path, make) -> None:
    make("mine", NOTIFIER)
    other = make("other", NOTIFIER, distribution="hedge-other")
    host = host_of(tmp_path)
    host.load("other")
    clock: Any = None
    asked = NotifierContext(settings={}, clock=clock, secrets={"token": "MARK"})
    with pytest.raises(PluginError, match="offers no notifier 'mine'"):
        host.notifier("mine", asked)
    assert sys.modules[other].TOLD == []


def test_every_refusal_is_one_line(tmp_path: Path, make) -> None:
    make("broken", "raise RuntimeError('a\\nb\\nc')")
    with pytest.raises(HedgeError) as caught:
        host_of(tmp_path, "broken")
    assert len(str(caught.value).splitlines()) == 1
