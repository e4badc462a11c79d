"""What admission asks of the host. It must not know who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.access import Principal
from neuronode_router.domain.bindings import Beyond
from neuronode_router.domain.names import Tier
from neuronode_router.litellm_plugin.hooks.gate import Places
from neuronode_router.litellm_plugin.hooks.group_guardrails import Guarded
from neuronode_router.litellm_plugin.hooks.operators_fallbacks import Configured


@dataclass(frozen=True, slots=True)
class AdmissionHost:
    """What admission asks of the host, as plain callables."""

    principal: Callable[[UserAPIKeyAuth], Principal]
    served_by: Callable[[Mapping[str, Any]], tuple[str | None, bool]]
    """From headers-hook facts to (model group that answered, whether the embedded model did)."""
    tags: Callable[[], bool]
    """Whether requests may carry our tags."""
    spent: Callable[[UserAPIKeyAuth, str, Beyond], float | None]
    """From a caller, a bound subject and its rule to the share of the budget that is spent, None where unknown."""
    may_use: Callable[[UserAPIKeyAuth, str, str], Awaitable[bool]]
    """From a caller, the name it sent and a group to whether it may use the one or the other."""
    fallbacks: Callable[[], Configured]
    """The fallbacks that the operator has configured in LiteLLM."""
    grants: Callable[[UserAPIKeyAuth, str, str], Awaitable[bool]]
    """The same as `may_use`, for a name that LiteLLM has not judged at the door."""
    named: Callable[[str], str | None]
    """From a name that is none of ours to the group it means, None where only LiteLLM can tell."""
    noted_tier: Callable[[str], Tier | None]
    """From a group to the lightest tier that is noted at its deployments."""
    places: Places
    """Where deployments are, as LiteLLM's list says at this moment."""
    costs: Callable[[str], bool]
    """From a group to whether it costs anything, or nobody can tell."""
    guard: Callable[[dict[str, Any], Guarded], None]
    """Has the guardrails of groups run on a request."""
    within: Callable[[UserAPIKeyAuth, str], Awaitable[None]]
    """From a caller and a group to nothing. Raises `BudgetExceededError` where a budget for that group is spent."""
    place_of: Callable[[str], str | None]
    """The same of one deployment that has answered: from what is known of it anyhow."""
