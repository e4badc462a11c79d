"""Every setting of the plugin: `NEURONODE_*` variables, read once, validated, with defaults.

It must not know what a setting is used for: no SQL, no Redis, no LiteLLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from neuronode_router.environment import (
    DEFAULT_CONFIG,
    PREFIX,
    absolute,
    config_path,
    state_directory,
)
from neuronode_router.environment import process_environment as process_environment
from neuronode_router.environment import variable as variable
from neuronode_router.errors import SettingsError

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


def _well_written(url: str | None) -> str | None:
    """Refuse an address whose parts run into each other: whoever uses it would complain by quoting its password.

    A SQLite address must name a file: what lies in memory is another one for each worker.
    """
    if url is None or url.startswith("unix"):
        return url
    if url.startswith("sqlite"):
        if url.partition(":///")[2] in ("", ":memory:"):
            raise ValueError("This address names no file; write sqlite:///file")
        return url
    try:
        parts = urlsplit(url)
        good = parts.port != 0 and parts.netloc.count("@") <= 1 and not parts.fragment
    except ValueError:
        good = False
    if not good:
        raise ValueError("This address cannot be read; percent-encode @ : / ? # in its user and password")
    return url


class Settings(BaseModel):
    """What the operator set. Every path is absolute; nothing is optional that has a default.

    Variables with our prefix that are no setting are ignored: Kubernetes makes up names such as
    `NEURONODE_ROUTER_PORT`.
    URLs may carry passwords, so they are kept out of `repr`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    config: Path
    """The LiteLLM configuration that is rendered. Default: the file LiteLLM was started with."""
    profiles: Path
    """The directory of the profile files. Default: `profiles/` beside the configuration."""
    policy: Path
    """The policy file: windows and rules. Default: `policy.yaml` beside the configuration; it need not be there."""
    state_dir: Path
    """Where state is kept that belongs to this host. Default: `.neuronode/` beside the configuration."""
    state_url: Annotated[
        str,
        Field(repr=False, pattern=r"^(sqlite|postgres|postgresql)(\+\w+)?://"),
        AfterValidator(_well_written),
    ]
    """The SQL store: `sqlite:///file` or `postgresql://...`. Default: `control.db` in the state directory."""
    redis_url: Annotated[
        str | None,
        Field(repr=False, pattern=r"^(rediss?|unix)://"),
        AfterValidator(_well_written),
    ] = None
    """Wakes workers on other hosts. Default: none; other hosts then converge by polling the SQL store."""
    render: Literal["auto", "on", "off"] = "auto"
    """Rewrite the configuration's alias map after a switch. `auto`: unless LiteLLM stores models in its database."""
    access_file: Path | None = None
    """Hashed keys, roles and teams, for a proxy without a database. Default: none."""
    enable_auto_routing: bool = True
    """Classify `auto` requests. Off, they go to the active profile's `uncertain` tier."""
    auto_routing_shadow: bool = False
    """Classify and log, but route as if automatic routing were off: for a careful start."""
    routing_log_enabled: bool = True
    """Write each `auto` decision to the log as a line of JSON, without any text of the request."""
    history: Literal["on", "off"] = "off"
    """Keep what `auto` decided, as features, so that the classifier can be judged and retrained."""
    history_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """After how many days a decision of that history is forgotten."""
    sample_prompts: Annotated[float, Field(ge=0, le=1)] = 0
    """The share of that history in which what was read of the prompt is kept as text, 0 to 1."""
    outcomes: Literal["on", "off"] = "off"
    """Count how the requests of that history turned out, and let the counts move the tiers of `auto`."""
    judge: Annotated[str | None, Field(pattern=r"^\S{1,256}$")] = None
    """The model group that compares light answers with the next tier's. Default: none, and nothing is compared."""
    judge_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of the light answers to `auto` requests that are compared, 0 to 1."""
    judge_budget: Annotated[float | None, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = None
    """US dollars that comparisons may cost a day (UTC), over all workers. Required with a judge."""
    default_profile: str | None = None
    """The first profile of an empty store. Default: the configuration's `current_profile`, or `balanced`."""
    tasks: Path | None = None
    """A directory of task templates of your own, beside the shipped ones. Default: none."""
    model_fast: str | None = None
    """The name that tasks ask for the tier `fast`. Default: `auto:fast`, the active profile's ladder."""
    model_medium: str | None = None
    """The same for the tier `medium`. Default: `auto:medium`."""
    model_complex: str | None = None
    """The same for the tier `complex`. Default: `auto:complex`."""
    write_limit: Annotated[str, Field(pattern=r"^[1-9]\d{0,5} ?/ ?(second|minute|hour)$")] = "10/second"
    """Writes through the admin API that one caller may make, as `<count>/<second|minute|hour>`."""
    ui_frame_origin: Annotated[str | None, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")] = None
    """The origin of LiteLLM's UI where it is not the proxy's own: it may embed the dashboard. Default: none."""
    mcp: Literal["off", "read", "write"] = "read"
    """Tools for agents at `/admin/agents/mcp`: none, those that only read, or those that change something too."""
    poll_seconds: Seconds = 0.5
    """How often a worker looks for a newer revision, should a wake-up have been lost."""
    heartbeat_seconds: Seconds = 2
    """How often a worker says that it is alive."""
    worker_ttl_seconds: Seconds = 10
    """After how long without a heartbeat a worker counts as dead; at least twice `heartbeat_seconds`."""
    receipt_timeout: Seconds = 5
    """How many seconds a write waits for the workers' acknowledgements."""
    usage_days: Annotated[float, Field(ge=1, le=3650, allow_inf_nan=False)] = 90
    """For how many days usage and cost are kept; less than 32 are 32, by which budgets of a month are held."""
    usage_flush_seconds: Seconds = 10
    """How often a worker carries what it counted to the SQL store: what `kill -9` can lose of it."""

    warm: Literal["wait", "background", "off"] = "background"
    """Whether a switch waits until its profile's Ollama models are in memory, has them loaded afterwards, or not."""
    warm_timeout: Seconds = 120
    """How many seconds the models of one switch may take."""
    warm_drain: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 120
    """How many seconds an Ollama model that no profile in force needs must be idle before it is let go; 0: never."""
    warm_ahead: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 3
    """How many minutes before a policy's window its profile's models are loaded; 0: not before."""
    ollama_vram: Annotated[float | None, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = None
    """GiB of memory for models on each Ollama whose deployments do not say `vram_gib`. Default: unknown."""

    @property
    def auto_routing(self) -> Literal["on", "shadow", "off"]:
        """What becomes of `auto` requests."""
        if not self.enable_auto_routing:
            return "off"
        return "shadow" if self.auto_routing_shadow else "on"

    proof_gate: Literal["off", "warn", "enforce"] = "off"
    """Whether a profile must be proven to answer before it is put in force. Off: proving costs real requests."""
    proof_max_age: Annotated[float, Field(gt=0, le=8760, allow_inf_nan=False)] = 24
    """Hours after which a probe proves nothing any more."""
    proof_refresh: Annotated[float | None, Field(ge=1, le=43200, allow_inf_nan=False)] = None
    """Minutes between two refreshes of the proof matrix in the background. Default: none."""
    proof_tools: Annotated[str | None, Field(pattern=r"^[a-z0-9_, -]*$")] = None
    """Tasks whose clients send tools, separated by commas: their probe asks for a tool call. Default: none."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.worker_ttl_seconds < 2 * self.heartbeat_seconds:
            raise ValueError(
                f"{PREFIX}WORKER_TTL_SECONDS must be at least twice {PREFIX}HEARTBEAT_SECONDS,"
                " or one late heartbeat declares a live worker dead"
            )
        if self.outcomes == "on" and self.history == "off":
            raise ValueError(
                f"{PREFIX}OUTCOMES=on needs {PREFIX}HISTORY=on: outcomes are those of its decisions"
            )
        if self.judge is not None and self.outcomes == "off":
            raise ValueError(f"{PREFIX}JUDGE needs {PREFIX}OUTCOMES=on: its verdicts are outcomes")
        if self.judge is not None and self.judge_budget is None:
            raise ValueError(f"{PREFIX}JUDGE needs {PREFIX}JUDGE_BUDGET: US dollars that it may cost a day")
        if self.sample_prompts > 0 and self.history == "off":
            raise ValueError(f"{PREFIX}SAMPLE_PROMPTS keeps nothing without {PREFIX}HISTORY=on")
        return self

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, config: Path | None = None) -> Settings:
        """Return the settings of `environ` (default: the process's). An empty variable counts as unset.

        `config` is the file LiteLLM was started with: `NEURONODE_CONFIG` goes before it, and where neither is
        given it is `./litellm_config.yaml`.
        Raises `SettingsError` naming every variable that cannot be used, never its value.
        """
        given = process_environment() if environ is None else environ
        values = {name: text for name in cls.model_fields if (text := given.get(variable(name), "").strip())}
        try:
            return cls.model_validate(_with_default_paths(given, values, config or DEFAULT_CONFIG))
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error


def _with_default_paths(
    given: Mapping[str, str], values: Mapping[str, str], host_config: Path
) -> dict[str, object]:
    """Fill in the paths that stand relative to the configuration, and make all of them absolute."""
    config, state_dir = config_path(given, host_config), state_directory(given, host_config)
    paths: dict[str, object] = {
        "config": config,
        "profiles": absolute(values.get("profiles", config.parent / "profiles")),
        "policy": absolute(values.get("policy", config.parent / "policy.yaml")),
        "state_dir": state_dir,
    }
    paths |= {name: absolute(values[name]) for name in ("access_file", "tasks") if name in values}
    return {"state_url": f"sqlite:///{state_dir / 'control.db'}", **values, **paths}


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{variable(str(problem['loc'][0]))}: {problem['msg']}" if problem["loc"] else problem["msg"]
        for problem in problems
    )
