"""How a request came to its group."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.domain.names import Tier
from neuronode_router.domain.rollouts import Arm


class Reason(StrEnum):
    """Which profile decides, and why: the first word of `x-neuronode-reason`."""

    ACTIVE_PROFILE = "active_profile"
    BINDING = "binding"
    """The caller's key or team is bound to another profile than the active one."""
    STABLE_ALIAS = "stable_alias"
    OVERRIDE_NAME = "override_name"
    OVERRIDE_HEADER = "override_header"
    OVERRIDE_DENIED = "override_denied"
    PASSTHROUGH = "passthrough"
    SEVERAL = "several"
    """Several names between commas, which are answered for different reasons."""
    REFUSED = "refused"
    """None: the request was refused before anything was decided."""
    FAIL_OPEN = "fail_open"
    JUDGE = "judge"
    """No client's request: the judge has answers compared."""
    MIRROR = "mirror"
    """No client's request: a shadow comparison has another profile answer one again."""


class Step(StrEnum):
    """How a group came about that no profile named for the request: the further words of `x-neuronode-reason`."""

    CLASSIFIED = "classified"
    UNCERTAIN = "uncertain"
    """The classification was not sure enough: the profile's `uncertain` tier."""
    LEARNED = "learned"
    """How such requests turned out speaks for another tier than the text alone."""
    TRIED = "tried"
    """One tier lighter, for nobody knows yet whether it suffices for such requests."""
    FORCED_TIER = "forced_tier"
    SESSION = "session"
    TOOL_LOOP = "tool_loop"
    LOOP_MOVED = "loop_moved"
    """A tool loop left its tier: no group of it can hold the request any more, or all of them are gone."""
    CONTINUED = "continued"
    """The provider keeps what was said before (`previous_response_id`): to the deployment that has it."""
    CAPPED = "capped"
    """Key or team may not use the tier: the highest they may."""
    PROBE = "probe"
    OVERLOADED = "overloaded"
    """A group of the wanted tier is not well and was put behind others."""
    ALL_OVERLOADED = "all_overloaded"
    NOTHING_FITS = "nothing_fits"
    """No group can hold the request: it is refused, or all are tried in order, as the profile says."""
    NO_GROUP = "no_group"
    """The host has no group of these tiers."""
    AUTO_OFF = "auto_off"
    """Automatic routing is switched off: the profile's `uncertain` tier."""
    SHADOW = "shadow"
    """The decision was only logged: the request went as if automatic routing were off."""
    KEPT = "kept"
    """The conversation had begun before a switch and stays with its group for a while."""
    CACHE = "cache"
    """The conversation keeps its tier: another one would gain less than what the provider has cached is worth."""
    POLICY = "policy"
    """The policy sends the task elsewhere for a while."""
    PERSONAL_DATA = "personal_data"
    """The request holds personal data, and the group that the profile names is not on the own machines."""
    GROUP_MISSING = "group_missing"
    """The host has not the group that the profile names: the task went to the profile's ladder."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What admission decided for one request. It stays with the request through retries, fallbacks and streams."""

    original_model: str
    """The name the client sent."""
    group: str
    """The model group the request goes to."""
    reason: Reason
    auto: bool = False
    """Whether tier and ladder are found for each request; `group` then is what LiteLLM alone would serve."""
    revision: int = 0
    profile: str | None = None
    task: str | None = None
    tier: Tier | None = None
    """The tier of `group`, for an `auto` request; before it is routed, the tier that its name forces."""
    ladder: tuple[str, ...] = ()
    """Groups to try after `group`, in order; where `auto` is false, empty leaves the group's own configured
    fallbacks in force.
    """
    tiers: tuple[Tier, ...] = ()
    """The tiers of `group` and of each group of `ladder`, for an `auto` request."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Groups that cannot hold the request, each with a word that says why (`fallback_chain.Misfit`)."""
    steps: tuple[Step, ...] = ()
    """How `group`, `tier` and `ladder` came about; empty where a profile named the group itself."""
    wanted: Tier | None = None
    """The tier that was wanted; another one than `tier` where overload moved the request."""
    confidence: float | None = None
    """How sure the classification is, 0 to 1; None where nothing was classified."""
    keep: str | None = None
    """The deployment id that the session keeps while it is well."""
    arm: Arm | None = None
    """Whose answer it gets while a rollout runs; None where it takes no part in one."""
    instead: Tier | None = None
    """What the text alone would have chosen, where outcomes or a trial led to another tier."""
