"""The host of the plugins: loads what is needed, asks the hooks, checks what they return."""

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pluggy
from pydantic import BaseModel, ValidationError

from hedge import hookspecs
from hedge.errors import ConfigError, HedgeError, PluginError
from hedge.plugins.check import check_hooks, check_role
from hedge.plugins.found import (
    EXTRAS,
    GROUP,
    NOTIFIER_EXTRAS,
    Found,
    absent,
    discover,
    install_line,
    parse_allow,
)
from hedge.plugins.installed import digest_of
from hedge.plugins.lock import Lock
from hedge.roles import (
    AccountCheck,
    Can,
    FundingSource,
    FuturesGateway,
    MarketFeed,
    Notifier,
    NotifierContext,
    SpotGateway,
    VenueContext,
    VenueSpec,
)

T = TypeVar("T")


def load_plugins(
    wanted: Iterable[str] = (),
    *,
    allow: Sequence[str] = (),
    venues: Mapping[str, Mapping[str, Any]] | None = None,
    live: bool = False,
    lock: Path | None = None,
    found: Sequence[Found] | None = None,
) -> "PluginHost":
    """Return a host that has loaded what serves the ``wanted`` venues (``binance``, ``ccxt:okx``).

    ``live`` refuses third parties that are not pinned: editable installs, and those without a
    lock. ``lock`` is the configuration file beside which the lock lies (`hedge.plugins.lock`);
    None: there is no lock.
    """
    known = discover() if found is None else found
    host = PluginHost(known, allow, venues or {}, live=live, lock=lock)
    for venue in wanted:
        host.spec(venue)
    return host


class PluginHost:
    """The loaded plugins, and the only one that calls their hooks."""

    def __init__(
        self,
        found: Sequence[Found],
        allow: Sequence[str] = (),
        venues: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        live: bool = False,
        lock: Path | None = None,
    ) -> None:
        self.found = tuple(found)
        self.broken: dict[str, str] = {}
        """Entry point -> why it does not work; kept and shown, never loaded again."""
        self.notes: list[str] = []
        """What a person should hear of the plugins that are loaded, a line each."""
        self._raw = dict(venues or {})
        self._live = live
        self._beside = lock
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._providers: dict[str, str] = {}
        self._specs: dict[str, VenueSpec] = {}
        self._owners: dict[str, str] = {}
        self._loadable: dict[str, Found] = {}
        self._shared: dict[tuple[str, str], dict[str, Any]] = {}
        for line in allow:
            parse_allow(line)
        for one in self.found:
            if not one.allowed(allow):
                continue
            other = self._loadable.setdefault(one.name, one)
            if other is not one:
                self.broken[one.name] = (
                    f"two plugins are called {one.name!a}: {other.provider} and {one.provider};"
                    " block or remove one"
                )

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(self._providers)

    def venues(self) -> dict[str, VenueSpec]:
        """Return the venues of the plugins that are loaded."""
        return dict(self._specs)

    def spec(self, venue: str) -> VenueSpec:
        """Return what serves ``venue``, loading it where needed; exit 9 where nothing does."""
        self._load_owner(venue)
        base = venue.partition(":")[0]
        spec = self._specs.get(venue) or self._specs.get(base)
        if spec is None:
            raise PluginError(f"plugin {base} ({self._providers[base]}) does not serve {venue!a}")
        return spec

    def provider(self, venue: str) -> str:
        """Return the distribution and version of the plugin that owns ``venue``."""
        self.spec(venue)
        return self._providers[self.owner(venue)]

    def environment(self, venue: str) -> str:
        """Return live, testnet, demo or local; what runs on virtual time is always local."""
        if Can.VIRTUAL_TIME in self.spec(venue).can:
            return "local"
        return str(self._table(venue).get("environment", "live"))

    def settings(self, venue: str) -> BaseModel:
        """Check ``[venues.NAME]`` against the plugin's own model; exit 3, a line a problem."""
        spec = self.spec(venue)
        model = spec.settings
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise PluginError(f"{self.provider(venue)}: settings of {venue} is no pydantic model")
        raw = dict(self._table(venue))
        if "environment" not in model.model_fields:
            raw.pop("environment", None)  # the host's own key
        name = venue if venue in self._raw else venue.partition(":")[0]
        known = _keys(model)
        lines = [_unknown(key, known, f"venues.{name}") for key in raw if key not in known]
        try:
            checked = model.model_validate(raw)
        except ValidationError as error:
            lines += list(_problems(error, model, f"venues.{name}"))
        if lines:
            raise ConfigError("\n".join(dict.fromkeys(lines)))
        return checked

    def spot_feed(self, venue: str, context: VenueContext) -> tuple[MarketFeed, str]:
        return self._role("hedge_spot_feed", MarketFeed, venue, context)

    def spot_gateway(self, venue: str, context: VenueContext) -> tuple[SpotGateway, str]:
        return self._role("hedge_spot_gateway", SpotGateway, venue, context)

    def futures_feed(self, venue: str, context: VenueContext) -> tuple[MarketFeed, str]:
        return self._role("hedge_futures_feed", MarketFeed, venue, context)

    def futures_gateway(self, venue: str, context: VenueContext) -> tuple[FuturesGateway, str]:
        return self._role("hedge_futures_gateway", FuturesGateway, venue, context)

    def funding_source(self, venue: str, context: VenueContext) -> tuple[FundingSource, str]:
        return self._role("hedge_funding_source", FundingSource, venue, context)

    def account_check(self, venue: str, context: VenueContext) -> tuple[AccountCheck, str]:
        return self._role("hedge_account_check", AccountCheck, venue, context)

    def notifier(self, name: str, context: NotifierContext) -> tuple[Notifier, str]:
        """Ask the plugin of this name alone: nobody else is told its keys."""
        self.load(name)
        answer = None
        if name in self._order("hedge_notifier", name):
            given: dict[str, Any] = {"name": name, "context": context}
            answer = self._answer("hedge_notifier", Notifier, name, given)
        if answer is None:
            raise PluginError(
                f"plugin {name} ({self._providers[name]}) offers no notifier {name!a}"
            )
        return answer, f"{name} ({self._providers[name]})"

    def register(self, plugin: object, name: str, provider: str = "hedge-engine (host)") -> None:
        """Add a plugin that is already imported: the host's own wrappers, or a test's venue."""
        check_hooks(plugin, name)
        if name in self._providers:
            raise PluginError(f"two plugins are called {name!a}")
        self._manager.register(plugin, name)
        self._providers[name] = provider
        try:
            self._collect(name)
        except PluginError:
            self._discard(name)
            raise

    def load(self, name: str) -> None:
        """Import the plugin of one entry point; `PluginError` when it cannot be used."""
        if name in self._providers:
            return
        if name in self.broken:
            raise PluginError(self.broken[name])
        one = self._loadable.get(name)
        if one is None:
            raise PluginError(self._why_not(name))
        if not one.bundled:
            self._check_pinned(one)
        if package := absent(one):
            text = f"{name} needs {package}, which is not installed; {install_line(name)}"
            self.broken[name] = text
            raise PluginError(text)
        try:
            plugin = _guarded(f"plugin {name} ({one.provider})", one, lambda: _fetch(one.value))
            self.register(plugin, name, one.provider)
        except HedgeError as error:
            self.broken[name] = str(error)
            raise PluginError(str(error)) from error

    def _check_pinned(self, one: Found) -> None:
        """Refuse other files than those that were allowed, before a line of them runs."""
        if one.editable:
            if self._live:
                raise PluginError(f"{one.provider} is editable: unpinned, refused with live")
            self.notes.append(f"plugin {one.name}: {one.provider} is unpinned ({one.editable})")
            return
        if self._beside is None:
            if self._live:
                raise PluginError(f"{one.provider} has no lock: unpinned, refused with live")
            return
        lock = Lock.of(self._beside)
        kept = lock.kept(one)
        if kept is None:
            self._lock(lock, one)
        elif kept.digest != digest_of(one):
            self.broken[one.name] = (
                f"plugin {one.name} ({one.provider}): its files are not those that were allowed;"
                f" if that is meant: hedge plugins allow {one.name}"
            )
            raise PluginError(self.broken[one.name])

    def _lock(self, lock: Lock, one: Found) -> None:
        """Lock what a line written by hand allows, as it is found the first time."""
        try:
            digest = lock.keep(one)
        except ConfigError as error:
            if self._live:
                raise PluginError(f"{one.provider} is not locked: {error}") from None
            self.notes.append(f"plugin {one.name}: {one.provider} is not locked: {error}")
        else:
            self.notes.append(f"plugin {one.name}: {one.provider} is locked now as {digest}")

    def load_all(self) -> None:
        """Load whatever may load; what cannot is quarantined (see ``broken``)."""
        for name in self._loadable:
            if name not in self._providers and name not in self.broken:
                try:
                    self.load(name)
                except PluginError as error:
                    self.broken.setdefault(name, str(error))

    def _table(self, venue: str) -> Mapping[str, Any]:
        return {**self._raw.get(venue.partition(":")[0], {}), **self._raw.get(venue, {})}

    def owner(self, venue: str) -> str:
        """Return the plugin whose venue it is, loaded or not."""
        base = venue.partition(":")[0]
        return self._owners.get(venue) or self._owners.get(base) or base

    def _load_owner(self, venue: str) -> None:
        base = venue.partition(":")[0]
        if venue in self._owners or base in self._owners or base in self._providers:
            return
        named = [one.name for one in self.found if one.name in (venue, base)]
        if named or base in EXTRAS:
            self.load(named[0] if named else base)
            return
        self.load_all()
        if venue not in self._owners and base not in self._owners:
            raise PluginError(self._why_not(venue))

    def _why_not(self, name: str) -> str:
        for one in self.found:
            if one.name == name:
                return (
                    f"plugin {name} ({one.provider}) is not allowed;"
                    f" to trust it: hedge plugins allow {name}"
                )
        if name in EXTRAS:
            return f"{name} is not installed; {install_line(name)}"
        known = sorted({*self._specs, *self._loadable, *EXTRAS})
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"nearest: {near[0]}" if near else f"known: {', '.join(known)}"
        return f"no plugin serves {name!a}; {hint}"

    def _collect(self, name: str) -> None:
        plugin = self._manager.get_plugin(name)
        call = self._only("hedge_venues", plugin)
        where = f"plugin {name} ({self._providers[name]})"
        answers = _guarded(where, self._loadable.get(name), call)
        for answer in answers:
            if inspect.iscoroutine(answer) or not isinstance(answer, list | tuple):
                raise PluginError(f"{where}: hedge_venues must return a list of VenueSpec")
            for spec in answer:
                if not isinstance(spec, VenueSpec):
                    raise PluginError(f"{where}: hedge_venues must return a list of VenueSpec")
                base = spec.name.partition(":")[0]
                owner = self._owners.get(spec.name, name)
                if owner != name or (base != name and (base in self._loadable or base in EXTRAS)):
                    raise PluginError(
                        f"{where} may not serve {spec.name}: that is the plugin"
                        f" {owner if owner != name else base}'s"
                    )
                self._owners[spec.name] = name
                self._specs[spec.name] = spec

    def _discard(self, name: str) -> None:
        self._manager.unregister(name=name)
        del self._providers[name]
        for venue in [venue for venue, owner in self._owners.items() if owner == name]:
            del self._owners[venue]
            self._specs.pop(venue, None)

    def _role(self, hook: str, protocol: Any, venue: str, context: VenueContext) -> tuple[Any, str]:
        self.spec(venue)
        given: dict[str, Any] = {"venue": venue, "context": context}
        return self._first(hook, protocol, self.owner(venue), given)

    def _first(
        self, hook: str, protocol: Any, owner: str, given: dict[str, Any]
    ) -> tuple[Any, str]:
        for everything in (False, True):
            if everything:
                self.load_all()  # the unit is the role: a vendor may offer just this one
            for name in self._order(hook, owner):
                told = given if name == owner else self._without_keys(name, given)
                answer = self._answer(hook, protocol, name, told)
                if answer is not None:
                    return answer, f"{name} ({self._providers[name]})"
        raise PluginError(f"no plugin offers {hook.removeprefix('hedge_')} for {given['venue']!a}")

    def _answer(self, hook: str, protocol: Any, name: str, given: dict[str, Any]) -> Any:
        """Return what one plugin answers, checked; None: not mine."""
        where = f"plugin {name} ({self._providers[name]}): {hook}"
        secrets = tuple(given["context"].secrets.values())
        call = functools.partial(self._only(hook, self._manager.get_plugin(name)), **given)
        answer = _guarded(where, self._loadable.get(name), call, secrets)
        if answer is not None:
            check_role(answer, protocol, where)
        return answer

    def _without_keys(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return what a plugin is told of another's venue: its own settings, and no key."""
        context = given["context"]
        assert isinstance(context, VenueContext)
        told = VenueContext(
            settings=self.settings(name) if name in self._specs else None,
            clock=context.clock,
            environment=context.environment,
            shared=self._shared.setdefault((name, given["venue"]), {}),
        )
        return {**given, "context": told}

    def _order(self, hook: str, owner: str) -> list[str]:
        """Return who is asked: the venue's own plugin, then the others as pluggy orders them."""
        impls = reversed(getattr(self._manager.hook, hook).get_hookimpls())
        names = [impl.plugin_name for impl in impls if not (impl.wrapper or impl.hookwrapper)]
        return sorted(names, key=lambda name: name != owner)

    def _only(self, hook: str, plugin: object) -> Callable[..., Any]:
        """Return the hook as this plugin and the wrappers around it answer it.

        Who wraps sees what is asked: only what comes with hedge wraps what is not its own.
        """
        others = [
            impl.plugin
            for impl in getattr(self._manager.hook, hook).get_hookimpls()
            if impl.plugin is not plugin
            and not ((impl.wrapper or impl.hookwrapper) and self._ours(impl.plugin_name))
        ]
        caller: Callable[..., Any] = self._manager.subset_hook_caller(hook, others)
        return caller

    def _ours(self, name: str) -> bool:
        one = self._loadable.get(name)
        return one is None or one.bundled


def _fetch(value: str) -> object:
    module, _, attribute = value.partition(":")
    found: object = importlib.import_module(module.strip())
    for part in attribute.strip().split(".") if attribute.strip() else ():
        found = getattr(found, part)
    return found


def _guarded(
    where: str, one: Found | None, call: Callable[[], T], secrets: Sequence[str] = ()
) -> T:
    """Run a plugin's code: whatever it raises that is not ours is a `PluginError`."""
    try:
        return call()
    except HedgeError:
        raise
    except (Exception, SystemExit) as error:  # the one place: foreign code
        missing = isinstance(error, ModuleNotFoundError)
        extra = one is not None and one.bundled and one.name in EXTRAS | NOTIFIER_EXTRAS
        if missing and one is not None and extra:
            raise PluginError(f"{where}: {error}; {install_line(one.name)}") from error
        text = " ".join(str(error).split())[:200]
        for secret in secrets:
            text = text.replace(secret, "***") if secret else text
        raise PluginError(f"{where}: {type(error).__name__}: {text}") from error


def _keys(model: Any) -> list[str]:
    fields = model.model_fields.items() if hasattr(model, "model_fields") else ()
    return [key for name, field in fields for key in {name, str(field.alias or name)}]


def _unknown(key: str, known: Sequence[str], table: str) -> str:
    near = difflib.get_close_matches(key, known, 1, 0.4)
    hint = f'; nearest: "{near[0]}"' if near else ""
    return f'unknown key "{key}" in {table}{hint}'


def _problems(error: ValidationError, model: Any, table: str) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        here = model
        *path, last = (str(part) for part in problem["loc"] or ("",))
        for part in path:
            field = getattr(here, "model_fields", {}).get(part)
            here = field.annotation if field else None
        if problem["type"] == "extra_forbidden":
            yield _unknown(last, _keys(here), ".".join((table, *path)))
        else:
            where = ".".join((table, *path, last)).rstrip(".")
            yield f"{where}: {problem['msg'].removeprefix('Value error, ')}"
