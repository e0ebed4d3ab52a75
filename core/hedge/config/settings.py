"""The tables of ``hedge.toml`` as types; the names of the fields are the names of the keys."""

from decimal import Decimal
from typing import Any, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hedge.config.values import (
    ENVIRONMENTS,
    Count,
    Duration,
    Exact,
    Listen,
    Name,
    NotNegative,
    OptionalPositive,
    Perpetual,
    Positive,
    Speed,
    Symbol,
    VenueRef,
    VenueText,
    Words,
)
from hedge.decide.terms import (
    Action,
    AfterExternal,
    ExecutionTerms,
    FundingTerms,
    InventoryRule,
    LimitTerms,
)
from hedge.model.numbers import ONE, ZERO

ACCOUNT_SECRETS = ("api_key", "api_secret", "private_key", "passphrase")
NOTIFIER_SECRETS = ("token", "url")


class Table(BaseModel):
    """A table of the file: frozen, and without room for a key it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )


class RunSettings(Table):
    speed: Speed = "real"
    tick_ms: Count = Field(default=1_000, le=60_000)
    stop_timeout_s: Duration = 60


class MetricsSettings(Table):
    listen: Listen = ""


class PluginSettings(Table):
    allow: Words = ()


class FundingSettings(Table):
    """When to enter and to leave; rates are per 8 h."""

    exit_below: Exact = ZERO
    enter_above: Exact = Decimal("0.00005")
    exit_confirmations: Count = Field(default=3, le=1_000)
    settlement_guard_s: Duration = 300
    policy: Literal["threshold"] = "threshold"
    min_hold_s: Duration = 0
    stale_s: Count = 600

    @model_validator(mode="after")
    def _enter_above_exit(self) -> Self:
        if self.enter_above <= self.exit_below:
            raise ValueError(
                f"enter_above ({self.enter_above}) must be above exit_below ({self.exit_below})"
            )
        return self


class ExecutionSettings(Table):
    """How the spot leg is worked."""

    requote_s: Count = 30
    requote_bps: NotNegative = Decimal(2)
    impact: Positive = Field(default=Decimal("0.05"), le=1)
    offset_ticks: Duration = Field(default=0, le=10_000)
    patience_s: Duration = 300
    cross_bps_max: NotNegative = Field(default=Decimal(5), le=1_000)
    entry_basis_bps_min: Exact = Decimal(-10)
    settle_s: Duration = 60
    build_timeout_s: Count = 86_400


class LimitSettings(Table):
    """Bounds of safety part 5; an empty one means the rule stated there, never "no limit"."""

    exposure_max: OptionalPositive = None
    notional_quote_max: OptionalPositive = None
    tolerance_bps: Positive = Field(default=ONE, le=1_000)
    leverage: Count = Field(default=2, le=5)
    repair_after_s: Duration = 0
    after_external: AfterExternal = AfterExternal.ALARM
    flatten_on_loss: bool = False
    collar: Positive = Field(default=Decimal("0.005"), le=Decimal("0.1"))
    collar_max: Positive = Field(default=Decimal("0.03"), le=Decimal("0.1"))
    spot_orders_per_minute: Count = 30
    spot_orders_per_hour: Count = 300
    hedge_orders_per_second: Count = Field(default=5, le=1_000)
    feed_stale_ms: Count = 5_000
    feed_dead_ms: Count = 30_000
    account_stale_ms: Count = 15_000
    account_dead_ms: Count = 60_000
    audit_active_ms: Count = 10_000
    audit_halt_ms: Count = 30_000
    retry_ms: Count = 2_000

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for low, high in (
            ("collar", "collar_max"),
            ("feed_stale_ms", "feed_dead_ms"),
            ("account_stale_ms", "account_dead_ms"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not be above {high}")
        return self


class HedgeSettings(Table):
    """One hedge: two legs, one target, its policies and limits."""

    spot: VenueText
    futures: VenueText
    symbol: Symbol
    futures_symbol: Perpetual = ""
    usd: OptionalPositive = None
    quantity: OptionalPositive = None
    inventory: InventoryRule = InventoryRule.MANAGED
    hedge_ratio: Positive = Field(default=ONE, le=1)
    enabled: bool = True
    action: Action = Action.DEFAULT
    funding: FundingSettings = FundingSettings()
    execution: ExecutionSettings = ExecutionSettings()
    limits: LimitSettings = LimitSettings()

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.usd is not None and self.quantity is not None:
            raise ValueError("usd and quantity exclude each other: give one")
        if self.usd is None and self.quantity is None:
            raise ValueError("no target: give usd or quantity")
        if self.quantity is not None and self.limits.notional_quote_max is None:
            raise ValueError("a quantity target needs limits.notional_quote_max")
        return self

    @property
    def spot_ref(self) -> VenueRef:
        return VenueRef.parse(self.spot)

    @property
    def futures_ref(self) -> VenueRef:
        return VenueRef.parse(self.futures)

    @property
    def perpetual(self) -> str:
        """Return the unified symbol of the futures leg."""
        return self.futures_symbol or f"{self.symbol}:{self.symbol.partition('/')[2]}"


class AccountSettings(Table):
    """One account; its keys come from secret files or credentials.

    A leg without ``@account`` uses the account that is called like its venue.
    """

    venue: VenueText = ""
    """Empty: the venue that the account is called like."""
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    private_key: SecretStr | None = None
    passphrase: SecretStr | None = None
    allow_withdraw: bool = False
    """Start although the key can withdraw or transfer."""
    allow_any_ip: bool = False
    """Start on a live venue although the key is not bound to an address."""

    def secrets(self) -> dict[str, str]:
        """Return what a plugin gets, and nobody else."""
        values = {name: getattr(self, name) for name in ACCOUNT_SECRETS}
        return {name: value.get_secret_value() for name, value in values.items() if value}


class NotifierSettings(Table):
    plugin: Name
    on: Words = ("fill", "mode", "funding", "alarm")
    token: SecretStr | None = None
    url: SecretStr | None = None
    options: dict[str, Any] = {}
    """The plugin's own; it judges them."""
    digest_s: Duration = Field(default=60, le=3_600)
    """Fills of this long become one message; 0: a message a fill."""
    repeat_s: Count = Field(default=900, ge=60, le=86_400)
    """An alarm is said again this often until it is acknowledged."""
    commands: bool = False
    """Whether people may write back: /status, /report, /pause, /resume, /ack."""
    trade: bool = False
    """Whether they may also /stop and /liquidate, after a preview and with its code."""

    @model_validator(mode="after")
    def _known_events(self) -> Self:
        for word in self.on:
            if word not in ("fill", "mode", "funding", "warning", "alarm"):
                raise ValueError(f"on: {word!a} is none of fill, mode, funding, warning, alarm")
        if self.trade and not self.commands:
            raise ValueError("trade = true needs commands = true")
        return self


class Settings(BaseSettings):
    """The whole file, with everything that was laid over it.

    The layers arrive laid already (`hedge.config.layers` knows the source of every value and
    refuses what it does not know), so the usual sources of a `BaseSettings` are switched off.
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    run: RunSettings = RunSettings()
    metrics: MetricsSettings = MetricsSettings()
    plugins: PluginSettings = PluginSettings()
    venues: dict[str, dict[str, Any]] = {}
    """Raw, a table a venue: its plugin's own model judges it (`PluginHost.settings`)."""
    hedges: dict[Name, HedgeSettings] = {}
    accounts: dict[Name, AccountSettings] = {}
    notifiers: dict[Name, NotifierSettings] = {}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for name in self.hedges:
            if name in HedgeSettings.model_fields:
                raise ValueError(f"hedges.{name}: the name of a key cannot name a hedge")
        for name, hedge in self.hedges.items():
            for leg, ref in (("spot", hedge.spot_ref), ("futures", hedge.futures_ref)):
                account = self.accounts.get(ref.account_name)
                if account is not None and account.venue not in ("", ref.venue):
                    raise ValueError(
                        f"hedges.{name}.{leg}: account {ref.account_name} is of {account.venue},"
                        f" not of {ref.venue}"
                    )
        for name, raw in self.venues.items():
            VenueRef.parse(name)
            if raw.get("environment", "live") not in ENVIRONMENTS:
                raise ValueError(f"venues.{name}.environment is none of {', '.join(ENVIRONMENTS)}")
        return self


DEFAULT_RUN = RunSettings()


def hedge_terms_parts(
    hedge: HedgeSettings, run: RunSettings = DEFAULT_RUN
) -> tuple[FundingTerms, ExecutionTerms, LimitTerms]:
    """Return the parts of `hedge.decide.terms.HedgeTerms` that the configuration alone decides."""

    def of(kind: type[msgspec.Struct], table: Table, **more: Any) -> Any:
        names = [name for name in kind.__struct_fields__ if name not in more]
        return kind(**{name: getattr(table, name) for name in names}, **more)

    return (
        of(FundingTerms, hedge.funding),
        of(ExecutionTerms, hedge.execution, stop_timeout_s=run.stop_timeout_s),
        of(LimitTerms, hedge.limits),
    )
