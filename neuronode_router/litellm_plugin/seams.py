"""The table of all that we use of LiteLLM: which part of ours needs it, in which releases, and whether it is there.

Adapters, the start-up probe, `neuronode doctor` and tests/host go by this one table. It only looks; it changes nothing.
"""

from __future__ import annotations

import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from neuronode_router.errors import Problem, UnsupportedLiteLLM


class Part(StrEnum):
    """A part of ours that is off as a whole where LiteLLM lacks one of its seams, unless it is one of `NEEDED`."""

    ADMISSION = "admission"
    HEADERS = "answer headers"
    LISTING = "model listing"
    OUTGOING = "headers of every error, and streams that were left"
    AUTHENTICATION = "authentication"
    NAMING = "names at the door"
    UI_SIGN_IN = "sign-in from LiteLLM's UI"
    INVENTORY = "model list"
    ALIASES = "alias mirror"
    MEASURING = "statistics"
    CHOICE = "choice within a group"
    COOLDOWNS = "cooldowns"
    FALLBACK_ACCESS = "access of ladders"
    MOVING = "moving conversations"
    USAGE = "usage"
    PROOF = "proof probes"
    MIRRORING = "shadow comparisons"
    LIMITS = "limits by the group that bindings, overrides and `auto` choose"
    BUDGETS = "live budgets"
    SPENDING = "budgets by the group that is called"
    GUARDRAILS = "guardrails of the group that is called"
    RETIRING = "an orderly end of workers"


Off = Mapping[Part, Sequence[str]]
"""The parts that a LiteLLM lacks a seam for, and which."""

NEEDED = frozenset({Part.ADMISSION, Part.AUTHENTICATION, Part.INVENTORY})
"""Parts that all others stand on: who decides, who asks, and what there is to choose from. They are never off: without
a seam of theirs requests go LiteLLM's way where ours fails, the status, readiness and metrics name the part as impaired
and, where our modules cannot even be imported, the start is refused with the seam's name.

Without answer headers an answer says nothing of ours, nobody learns which deployment a conversation is with, and of an
answer that never ended nothing is counted. Without the alias mirror LiteLLM's own map, its listing and whatever fails
open do not know our names; admission decides all the same.
"""


class Era(StrEnum):
    """How a LiteLLM's router is spoken to."""

    ENTRY_POINTS = "1.110 and later"
    MEMBERS = "1.106 to 1.108"
    ANY = "all releases"


@dataclass(frozen=True, slots=True)
class Seam:
    """Something of LiteLLM: `path` is `module:attribute.attribute`, `takes` the parameters that we pass."""

    part: Part
    path: str
    takes: tuple[str, ...] = ()
    era: Era = Era.ANY

    def lack(self) -> str | None:
        """Return what is missing, None where nothing is. Never raises."""
        found = _find(self.path)
        if found is None:
            return self.path
        wanted = set(self.takes) - _parameters(found)
        return f"{self.path}({', '.join(sorted(wanted))})" if wanted else None


_LOGGER = "litellm.integrations.custom_logger:CustomLogger."
_ROUTER = "litellm:Router."
_API = "litellm.router_api:"
_PROXY = "litellm.proxy.proxy_server:"
_LIMITER = "litellm.proxy.hooks.parallel_request_limiter_v3:_PROXY_MaxParallelRequestsHandler_v3.__init__"
_MODEL_BUDGETS = "litellm.proxy.proxy_server:model_max_budget_limiter."
_MERGE = ("data", "llm_router", "trust_client_model_info")
_KEY_OBJECT = ("hashed_token", "prisma_client", "user_api_key_cache")
_RESOLVED = ("model", "llm_model_list", "valid_token", "llm_router")
_OWNED = ("model", "llm_router", "user_object")
_OWNER = ("user_id", "prisma_client", "user_api_key_cache", "user_id_upsert")
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_EVENT = ("kwargs", "response_obj", "start_time", "end_time")
_HEADERS = ("data", "user_api_key_dict", "response", "request_headers", "litellm_call_info")
_SETTINGS = ("enable_tag_filtering", "enable_pre_call_checks", "routing_strategy", "default_litellm_params")
_FAILED = ("request_data", "original_exception", "user_api_key_dict", "traceback_str")
_FILTER = ("model", "healthy_deployments", "messages", "request_kwargs", "parent_otel_span")

SEAMS = (
    Seam(
        Part.ADMISSION, _LOGGER + "async_pre_call_hook", ("user_api_key_dict", "cache", "data", "call_type")
    ),
    Seam(Part.ADMISSION, "litellm:callbacks"),
    Seam(Part.ADMISSION, "litellm:logging_callback_manager.remove_callback_from_all_lists"),
    Seam(Part.HEADERS, _LOGGER + "async_post_call_response_headers_hook", _HEADERS),
    Seam(Part.LISTING, _LOGGER + "async_filter_listed_models", ("user_api_key_dict", "model_names")),
    Seam(Part.LISTING, _PROXY + "app.router.middleware_stack"),
    Seam(Part.OUTGOING, _PROXY + "app.router.middleware_stack"),
    Seam(Part.OUTGOING, _LOGGER + "async_post_call_failure_hook", _FAILED),
    Seam(
        Part.AUTHENTICATION,
        "litellm.proxy.auth.user_api_key_auth:user_api_key_auth",
        ("request", "api_key"),
    ),
    Seam(
        Part.NAMING,
        "litellm.proxy.auth.user_api_key_auth:get_api_key",
        ("pass_through_endpoints", "route"),
    ),
    Seam(Part.ADMISSION, "litellm.litellm_core_utils.litellm_logging:get_custom_logger_compatible_class"),
    Seam(Part.ADMISSION, "litellm.integrations.custom_guardrail:CustomGuardrail"),
    Seam(Part.AUTHENTICATION, "litellm.proxy._types:UserAPIKeyAuth"),
    Seam(Part.AUTHENTICATION, "litellm.proxy.auth.auth_checks:get_key_object", _KEY_OBJECT),
    Seam(Part.AUTHENTICATION, _PROXY + "prisma_client"),
    Seam(Part.AUTHENTICATION, _PROXY + "user_api_key_cache"),
    Seam(Part.AUTHENTICATION, "litellm.proxy._types:LitellmUserRoles.PROXY_ADMIN_VIEW_ONLY"),
    Seam(Part.UI_SIGN_IN, "litellm.proxy.plugin_routes:verify_plugin_session_claim"),
    Seam(Part.ADMISSION, _PROXY + "app"),
    Seam(Part.ADMISSION, "litellm.proxy.auth.auth_utils:get_request_route", ("request",)),
    Seam(Part.ADMISSION, "litellm.proxy.auth.route_checks:RouteChecks.is_llm_api_route", ("route",)),
    Seam(Part.ADMISSION, "litellm.proxy.common_utils.http_parsing_utils:read_request_body", ("request",)),
    Seam(Part.NAMING, "litellm.proxy.common_utils.http_parsing_utils:_safe_set_request_parsed_body"),
    Seam(Part.AUTHENTICATION, _PROXY + "master_key"),
    Seam(Part.INVENTORY, _PROXY + "llm_router"),
    Seam(Part.INVENTORY, _PROXY + "general_settings"),
    Seam(Part.INVENTORY, _PROXY + "prisma_client"),
    Seam(Part.INVENTORY, _PROXY + "proxy_logging_obj"),
    Seam(Part.INVENTORY, _PROXY + "store_model_in_db"),
    Seam(Part.INVENTORY, _PROXY + "proxy_config.add_deployment", ("prisma_client", "proxy_logging_obj")),
    Seam(Part.INVENTORY, "litellm.llms.custom_httpx.http_handler:get_ssl_configuration"),
    Seam(Part.INVENTORY, _ROUTER + "registry", era=Era.ENTRY_POINTS),
    Seam(Part.INVENTORY, _API + "RouterRegistry.all", era=Era.ENTRY_POINTS),
    Seam(Part.INVENTORY, _API + "RouterRegistry.names", ("kind",), Era.ENTRY_POINTS),
    Seam(Part.INVENTORY, _API + "RouterRegistry.has_deployment", ("id",), Era.ENTRY_POINTS),
    Seam(Part.INVENTORY, _API + "RouterRegistry.deployment_dict", ("id",), Era.ENTRY_POINTS),
    Seam(Part.INVENTORY, _API + "RouterRegistry.aliases", era=Era.ENTRY_POINTS),
    Seam(Part.ALIASES, _ROUTER + "apply", ("changes",), Era.ENTRY_POINTS),
    Seam(Part.ALIASES, _API + "ChangeSet", ("assign", "settings"), Era.ENTRY_POINTS),
    Seam(Part.ALIASES, _ROUTER + "update_settings", era=Era.MEMBERS),
    Seam(Part.ALIASES, _ROUTER + "_invalidate_access_groups_cache", era=Era.MEMBERS),
    Seam(Part.INVENTORY, _ROUTER + "get_model_info", ("id",), Era.MEMBERS),
    Seam(Part.INVENTORY, _ROUTER + "get_model_ids", era=Era.MEMBERS),
    Seam(Part.MEASURING, _LOGGER + "async_pre_call_deployment_hook", ("kwargs", "call_type")),
    Seam(
        Part.MEASURING,
        _LOGGER + "async_post_call_success_deployment_hook",
        ("request_data", "response", "call_type"),
    ),
    Seam(
        Part.MEASURING,
        _LOGGER + "async_post_call_failure_deployment_hook",
        ("request_data", "exception", "call_type"),
    ),
    Seam(Part.MEASURING, "litellm:Timeout"),
    Seam(Part.MEASURING, "litellm:APIConnectionError"),
    Seam(Part.MEASURING, _LOGGER + "async_log_success_event", _EVENT),
    Seam(Part.MEASURING, _LOGGER + "async_log_failure_event", _EVENT),
    Seam(Part.MEASURING, _ROUTER + "get_deployment", ("model_id",), Era.MEMBERS),
    Seam(Part.MEASURING, _ROUTER + "_get_timeout", ("kwargs", "data"), Era.MEMBERS),
    Seam(Part.CHOICE, _LOGGER + "async_filter_deployments", _FILTER),
    Seam(Part.CHOICE, _LOGGER + "async_pre_call_deployment_hook", ("kwargs", "call_type")),
    Seam(Part.CHOICE, "litellm:ContextWindowExceededError", ("message", "model", "llm_provider")),
    Seam(Part.CHOICE, "litellm:BadRequestError", ("message", "model", "llm_provider")),
    Seam(
        Part.CHOICE,
        "litellm.responses.utils:ResponsesAPIRequestUtils.decode_responses_api_response_id",
        ("response_id",),
    ),
    Seam(Part.CHOICE, "litellm.proxy.hooks.responses_id_security:ResponsesIDSecurity._decrypt_response_id"),
    Seam(Part.INVENTORY, "litellm:get_supported_openai_params", ("model", "custom_llm_provider")),
    Seam(Part.INVENTORY, "litellm:credential_list"),
    Seam(Part.INVENTORY, "litellm:provider_list"),
    Seam(Part.INVENTORY, "litellm:get_llm_provider", ("model", "custom_llm_provider", "api_base")),
    Seam(Part.CHOICE, _ROUTER + "settings", era=Era.ENTRY_POINTS),
    Seam(Part.CHOICE, _API + "RouterSettings", _SETTINGS, Era.ENTRY_POINTS),
    Seam(Part.CHOICE, _API + "RouterRegistry.routing_groups", era=Era.ENTRY_POINTS),
    Seam(Part.CHOICE, _ROUTER + "_get_routing_context", ("model", "request_kwargs"), Era.MEMBERS),
    Seam(Part.COOLDOWNS, _ROUTER + "health", era=Era.ENTRY_POINTS),
    Seam(Part.COOLDOWNS, _API + "RouterHealth.cooldowns", era=Era.ENTRY_POINTS),
    Seam(
        Part.COOLDOWNS,
        "litellm.redis.stores.router_cooldowns:RouterCooldownStore.snapshot",
        (),
        Era.ENTRY_POINTS,
    ),
    Seam(
        Part.COOLDOWNS,
        "litellm.router_utils.cooldown_cache:CooldownCache.active_cooldowns_from_results",
        (),
        Era.MEMBERS,
    ),
    Seam(Part.FALLBACK_ACCESS, _API + "RouterSettings", ("fallback_access_check",), Era.ENTRY_POINTS),
    Seam(Part.FALLBACK_ACCESS, _ROUTER + "apply", ("changes",), Era.ENTRY_POINTS),
    Seam(Part.FALLBACK_ACCESS, _API + "ChangeSet", ("assign",), Era.ENTRY_POINTS),
    Seam(Part.MOVING, _LOGGER + "async_pre_call_deployment_hook", ("kwargs", "call_type")),
    Seam(Part.MOVING, _LOGGER + "async_log_success_event", _EVENT),
    Seam(Part.MOVING, "litellm:get_llm_provider", ("model", "custom_llm_provider", "api_base")),
    Seam(Part.MOVING, "litellm:LlmProviders"),
    Seam(
        Part.MOVING,
        "litellm.utils:ProviderConfigManager.get_provider_responses_api_config",
        ("provider", "model"),
    ),
    Seam(Part.USAGE, _LOGGER + "async_log_success_event", _EVENT),
    Seam(Part.USAGE, _LOGGER + "async_log_failure_event", _EVENT),
    Seam(Part.USAGE, _LOGGER + "async_post_call_failure_hook", _FAILED),
    Seam(Part.USAGE, "litellm:model_cost"),
    Seam(Part.RETIRING, _PROXY + "proxy_shutdown_event", ("worker_heartbeat",)),
    Seam(Part.ADMISSION, "litellm.proxy.auth.auth_checks:can_key_call_resolved_model", _RESOLVED),
    Seam(Part.ADMISSION, "litellm.proxy.auth.auth_checks:can_user_call_model", _OWNED),
    Seam(Part.ADMISSION, "litellm.proxy.auth.auth_checks:get_user_object", _OWNER),
    Seam(Part.ADMISSION, "litellm.proxy._types:ProxyException"),
    Seam(Part.ADMISSION, _LOGGER + "async_pre_call_deployment_hook", ("kwargs", "call_type")),
    Seam(Part.ADMISSION, _LOGGER + "async_filter_deployments", _FILTER),
    Seam(Part.ADMISSION, _API + "RegistryReader.registry", era=Era.ENTRY_POINTS),
    Seam(Part.ADMISSION, _API + "RouterRegistry.resolve", ("name", "kind"), Era.ENTRY_POINTS),
    Seam(Part.ADMISSION, _API + "RouterRegistry.access_groups", ("model_name",), Era.ENTRY_POINTS),
    Seam(Part.ADMISSION, _ROUTER + "get_model_from_alias", ("model",), Era.MEMBERS),
    Seam(Part.ADMISSION, _ROUTER + "get_model_access_groups", ("model_name",), Era.MEMBERS),
    Seam(Part.ADMISSION, _API + "RouterSettings", _FALLBACKS, Era.ENTRY_POINTS),
    Seam(Part.LIMITS, _PROXY + "proxy_logging_obj"),
    Seam(Part.LIMITS, "litellm.proxy.utils:ProxyLogging.get_proxy_hook", ("hook",)),
    Seam(Part.LIMITS, _LIMITER, ("model_group_resolver",)),
    Seam(Part.SPENDING, "litellm.proxy.auth.auth_checks:is_model_cost_zero", ("model", "llm_router")),
    Seam(Part.SPENDING, "litellm.proxy.auth.auth_utils:get_model_from_request", ("request_data", "route")),
    Seam(Part.SPENDING, _API + "RouterRegistry.zero_cost", era=Era.ENTRY_POINTS),
    Seam(Part.SPENDING, _MODEL_BUDGETS + "is_key_within_model_budget", ("user_api_key_dict", "model")),
    Seam(Part.GUARDRAILS, "litellm.proxy.utils:check_and_merge_model_level_guardrails", _MERGE),
    Seam(
        Part.GUARDRAILS,
        "litellm.integrations.custom_guardrail:CustomGuardrail.should_run_guardrail",
        ("data", "event_type"),
    ),
    Seam(Part.GUARDRAILS, "litellm.types.guardrails:GuardrailEventHooks.during_call"),
    Seam(Part.BUDGETS, _PROXY + "get_current_spend", ("counter_key", "fallback_spend", "max_budget")),
    Seam(Part.PROOF, "litellm.constants:LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME"),
    Seam(Part.PROOF, _ROUTER + "acompletion"),
    Seam(Part.MIRRORING, _LOGGER + "async_pre_call_deployment_hook", ("kwargs", "call_type")),
    Seam(Part.MIRRORING, _LOGGER + "async_log_success_event", _EVENT),
    Seam(Part.MIRRORING, _LOGGER + "async_post_call_failure_hook", _FAILED),
    Seam(Part.MIRRORING, "litellm.constants:LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME"),
    Seam(Part.MIRRORING, _ROUTER + "acompletion"),
    Seam(
        Part.MIRRORING, _ROUTER + "aanthropic_messages", era=Era.ENTRY_POINTS
    ),  # before that, of each router only
    Seam(Part.MIRRORING, _ROUTER + "aresponses", era=Era.ENTRY_POINTS),
)
"""In the order of a request, and of its parts."""


def era() -> Era:
    """Return how this LiteLLM's router is spoken to."""
    return Era.ENTRY_POINTS if _find(_ROUTER + "registry") is not None else Era.MEMBERS


def in_use() -> Sequence[Seam]:
    """Return the seams that are used of this LiteLLM."""
    return [seam for seam in SEAMS if seam.era in (Era.ANY, era())]


def lacking() -> Off:
    """Return what this LiteLLM lacks, by the part that is off for it; empty where nothing is. Never raises."""
    missing: defaultdict[Part, list[str]] = defaultdict(list)
    for seam in in_use():
        lack = seam.lack()
        if lack is not None:
            missing[seam.part].append(lack)
    return missing


@contextmanager
def named_if_missing() -> Iterator[None]:
    """Raise `UnsupportedLiteLLM` in the place of an ImportError, where this LiteLLM lacks what every part needs."""
    try:
        yield
    except ImportError as error:
        missing = [path for part, paths in lacking().items() if part in NEEDED for path in paths]
        if not missing:
            raise
        raise UnsupportedLiteLLM(f"LiteLLM lacks or changed {', '.join(missing)}.") from error


def problems(off: Off, version: str) -> tuple[Problem, ...]:
    """Return a problem for each part that is off, or works without something that it needs."""
    return tuple(
        Problem(
            code="part_off",
            message=f"{'Impaired' if part in NEEDED else 'Off'}: {part}. "
            f"LiteLLM {version} lacks or changed {', '.join(missing)}.",
            fix="Install a tested release of LiteLLM, or a newer release of this plugin.",
            path=part.value,
        )
        for part, missing in off.items()
    )


def _find(path: str) -> Any | None:
    module, _, attributes = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in attributes.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return None
    # What a proxy has before it read its configuration is None, and there.
    return _Present if found is None else found


class _Present:
    """Stands for an attribute whose value is None."""


def _parameters(found: Any) -> set[str]:
    function = getattr(found, "__func__", found)
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()
