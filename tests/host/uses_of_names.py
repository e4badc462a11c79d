"""Where LiteLLM decides or books by the name in a request, and how each of these uses is told the group that is called.

`tests/host/test_uses_of_names.py` reads LiteLLM's own source and holds it against this table: a use that a release adds
stands in none of its lines. It must not know a release.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import litellm

PLACES = ("auth", "hooks", "spend_tracking/budget_reservation.py", "litellm_pre_call_utils.py")
MORE_PLACES = ("common_request_processing.py", "utils.py")
"""What of LiteLLM's proxy decides before a call, and what books after it."""

READERS = frozenset({"get_model_from_request", "_get_model_from_request_context"})
"""Functions of LiteLLM's that return the name of a request."""


class Told(StrEnum):
    """How a use is told where the request goes."""

    COSTS = "`auth.spending`: whether the name may cost anything; admission asks again where the group costs"
    LISTS = "`auth.name_at_the_door` where it can be known, and admission, which asks for the group"
    MODEL_BUDGETS = "`auth.spending.ModelBudgets`: admission asks for the group"
    GUARDRAILS = "`hooks.group_guardrails`: admission merges those of the group"
    RESOLVER = "`hooks.chosen_group.GroupResolver`: counted by the group or the name, as limits are written"
    BY_GROUP = "`hooks.chosen_group.ByGroup`: the hook is shown the group"
    RENAMED = "it reads the request when `Renaming` has put the group there"
    NAME = (
        "it must see the name that was sent: an operator keys it so, or rewrites it, or the answer bears it"
    )
    MAP = "it sees the group of LiteLLM's map, which is no harm: an estimate, a hint, or words in a message or log"
    NOT_TOLD = "it sees the name, by which LiteLLM alone decides; docs/operations.md says so"
    NONE_OF_OURS = "no call of a name of ours"


TABLE: dict[Told, dict[str, tuple[str, ...]]] = {
    Told.COSTS: {
        "auth/auth_checks.py": ("common_checks",),
        "auth/user_api_key_auth.py": (
            "_authorize_authenticated_request",
            "_get_model_from_request_context",
            "_run_post_custom_auth_checks",
            "_should_skip_budget_checks",
            "run_centralized_common_checks",
            "user_api_key_auth_builder",
            "validate_resolved_virtual_key",
        ),
    },
    Told.LISTS: {
        "auth/auth_utils.py": ("_extract_model_candidates_from_request", "_iter_fallback_targets"),
        "auth/user_api_key_auth.py": ("enforce_key_and_fallback_model_access", "user_api_key_auth"),
        "auth/handle_jwt.py": (
            "JWTAuthManager.authorize_jwt",
            "JWTAuthManager.check_rbac_role",
            "JWTAuthManager.check_scope_based_access",
        ),
    },
    Told.MODEL_BUDGETS: {
        "auth/user_api_key_auth.py": (
            "_check_key_model_budget_with_fallback",
            "_check_team_member_model_budget_for_model",
            "_try_team_member_model_budget_fallback",
        ),
    },
    Told.GUARDRAILS: {"utils.py": ("check_and_merge_model_level_guardrails",)},
    Told.RESOLVER: {
        "hooks/parallel_request_limiter_v3.py": (
            "_PROXY_MaxParallelRequestsHandler_v3._build_request_rate_limit_descriptors",
            "_PROXY_MaxParallelRequestsHandler_v3.async_pre_call_hook",
            "_PROXY_MaxParallelRequestsHandler_v3.create_rate_limit_descriptors",
        ),
    },
    Told.BY_GROUP: {
        "hooks/dynamic_rate_limiter.py": ("_PROXY_DynamicRateLimitHandler.async_pre_call_hook",),
        "hooks/dynamic_rate_limiter_v3.py": ("_PROXY_DynamicRateLimitHandlerV3.async_pre_call_hook",),
    },
    Told.RENAMED: {
        "common_request_processing.py": (
            "ProxyBaseLLMRequestProcessing._process_llm_request",
            "_counted_drop_policies",
            "_request_model",
            "counted_drop_policies",
        ),
        "hooks/autorouter_baseline_cache.py": ("AutoRouterBaselineCache.async_pre_call_deployment_hook",),
        "hooks/proxy_track_cost_callback.py": (
            "_ProxyDBLogger._PROXY_track_cost_callback",
            "_ProxyDBLogger.async_post_call_failure_hook",
        ),
        "hooks/model_max_budget_limiter.py": (
            "_PROXY_VirtualKeyModelMaxBudgetLimiter.async_log_success_event",
            "_requested_model_name",
        ),
    },
    Told.NAME: {
        "auth/auth_utils.py": ("fallback_target_model_name",),
        "auth/user_api_key_auth.py": (
            "_budget_fallback_target_model",
            "_normalize_claude_model",
            "_resolve_codex_native_chatgpt_model",
            "_resolve_router_settings_model_group_alias",
        ),
        "common_request_processing.py": (
            "ProxyBaseLLMRequestProcessing._pre_call_with_fallbacks",
            "ProxyBaseLLMRequestProcessing.common_processing_pre_call_logic",
            "_assembled_model_came_from_a_later_chunk",
            "_assembled_model_is_the_name_the_client_asked_for",
            "_override_openai_response_model",
        ),
        "hooks/sensitive_data_routing.py": ("_PROXY_SensitiveDataRoutingHandler.async_pre_call_hook",),
        "litellm_pre_call_utils.py": (
            "_add_guardrails_from_policies_in_metadata",
            "_fallback_target_name",
            "_update_model_if_key_alias_exists",
            "_update_model_if_team_alias_exists",
            "add_guardrails_from_policy_engine",
            "add_litellm_data_to_request",
        ),
        "utils.py": (
            "ProxyLogging._handle_pipeline_result",
            "ProxyLogging._handle_sensitive_data_route_exception",
            "ProxyLogging._process_prompt_template",
            "ProxyLogging.process_pre_call_hook_response",
        ),
    },
    Told.MAP: {
        "auth/auth_exception_handler.py": ("UserAPIKeyAuthExceptionHandler.handle_authentication_error",),
        "auth/user_api_key_auth.py": ("_preflight_failure_model", "_small_preflight_failure_json"),
        "common_request_processing.py": (
            "ProxyBaseLLMRequestProcessing.async_streaming_data_generator",
            "_is_auto_router",
            "ttft_keepalive_interval",
        ),
        "hooks/max_budget_per_session_limiter.py": ("_PROXY_MaxBudgetPerSessionHandler.async_pre_call_hook",),
        "hooks/max_iterations_limiter.py": ("_PROXY_MaxIterationsHandler.async_pre_call_hook",),
        "hooks/parallel_request_limiter.py": (
            "_PROXY_MaxParallelRequestsHandler.async_pre_call_hook",
            "_PROXY_MaxParallelRequestsHandler.check_key_in_limits",
        ),
        "hooks/parallel_request_limiter_v3.py": (
            "_PROXY_MaxParallelRequestsHandler_v3._estimate_input_and_output_tokens",
            "_PROXY_MaxParallelRequestsHandler_v3._translate_google_genai_native_request",
        ),
        "hooks/rate_limiter_utils.py": ("_resolve_provider_from_router_alias",),
        "spend_tracking/budget_reservation.py": ("_get_request_models", "reserve_budget_for_request"),
        "utils.py": (
            "ProxyLogging._handle_logging_proxy_only_error",
            "_deployment_attribution_for_model_group",
            "_estimated_input_cost",
            "_estimated_prompt_usage",
            "_record_pricing",
        ),
    },
    Told.NOT_TOLD: {
        "litellm_pre_call_utils.py": (
            "LiteLLMProxyRequestSetup.add_headers_to_llm_call_by_model_group",
            "_apply_credential_overrides_from_model_config",
            "_resolve_user_provider_credentials_for_request",
        ),
    },
    Told.NONE_OF_OURS: {
        "auth/auth_checks.py": ("_deployment_query_price", "_model_group_has_pricing"),
        "auth/auth_utils.py": (
            "check_complete_credentials",
            "is_request_body_safe",
            "pre_db_read_auth_checks",
        ),
        "auth/model_checks.py": ("_litellm_model", "expand_wildcard_deployments_for_model_info"),
        "auth/user_api_key_auth.py": (
            "user_api_key_auth_realtime_websocket",
            "user_api_key_auth_websocket",
        ),
        "hooks/batch_rate_limiter.py": (
            "_PROXY_BatchRateLimiter._check_and_increment_batch_counters",
            "_PROXY_BatchRateLimiter._get_batch_routing_model",
            "_PROXY_BatchRateLimiter._raise_enqueued_limit_error",
            "_PROXY_BatchRateLimiter._resolve_batch_input_file_fetch_params",
            "_PROXY_BatchRateLimiter.count_input_file_usage",
            "_batch_create_routing_model",
        ),
        "litellm_pre_call_utils.py": ("_per_user_credential_names_for_groups",),
        "utils.py": (
            "ProxyLogging._convert_mcp_to_llm_format",
            "_deployment_attribution_for_model_group._provider_for_deployment",
            "is_valid_team_configs",
        ),
    },
}


def in_table() -> dict[tuple[str, str], Told]:
    """Return how each function of a file is told. Raises AssertionError for one that is told in two ways."""
    found: dict[tuple[str, str], Told] = {}
    for told, files in TABLE.items():
        for file, functions in files.items():
            for function in functions:
                assert (file, function) not in found, f"{function} of {file} stands there twice"
                found[file, function] = told
    return found


def in_litellm() -> set[tuple[str, str]]:
    """Return the functions of the LiteLLM that is installed which read the name of a request, by their files."""
    proxy = Path(litellm.__file__).parent / "proxy"
    return {
        (file.relative_to(proxy).as_posix(), function)
        for file in _files(proxy)
        for function in _readers(ast.parse(file.read_text(encoding="utf-8")), ())
    }


def _files(proxy: Path) -> Iterator[Path]:
    for place in (*PLACES, *MORE_PLACES):
        yield from (proxy / place).glob("*.py") if (proxy / place).is_dir() else (proxy / place,)


def _readers(node: ast.AST, within: tuple[str, ...]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        inner = within
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = (*within, child.name)
        if _reads(child):
            yield ".".join(within)
        yield from _readers(child, inner)


def _reads(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return _is_name(node.slice)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        return bool(node.args) and _is_name(node.args[0])
    return (
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    ) in READERS


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "model"
