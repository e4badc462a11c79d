"""The fields of requests of which is known that they choose no model, server, place or key.

Providers read further fields, and some of those take another model's name (`model_id`, `models`, `engine`, `agent_id`).
Nobody can list these; so the others are listed, and what is on no list cannot be checked. It must not know callers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_OPENAI = """
model messages prompt input stream stream_options temperature top_p n stop max_tokens max_completion_tokens
presence_penalty frequency_penalty logit_bias user logprobs top_logprobs response_format seed tools tool_choice
parallel_tool_calls functions function_call modalities audio prediction reasoning_effort verbosity store service_tier
safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options web_search_options suffix echo best_of
encoding_format dimensions instructions include previous_response_id reasoning text truncation background
max_output_tokens max_tool_calls conversation context_management moderation size quality style output_format
output_compression partial_images image image[] mask input_fidelity voice speed stream_format file language
timestamp_granularities timestamp_granularities[] chunking_strategy known_speaker_names known_speaker_references
"""
_ANTHROPIC = """
system stop_sequences thinking output_config container mcp_servers betas anthropic_version anthropic_beta speed
cache_control
"""
_GEMINI = """
contents systemInstruction system_instruction generationConfig generation_config safetySettings safety_settings
toolConfig tool_config cachedContent cached_content labels config responseModalities speechConfig
"""
_OTHERS = """
query documents top_n return_documents max_chunks_per_doc max_tokens_per_doc rank_fields input_type truncate task
document pages include_image_base64 image_limit image_min_size bbox_annotation_format document_annotation_format
seconds input_reference previous_interaction_id response_modalities response_mime_type
top_k min_p top_a typical_p repetition_penalty length_penalty min_tokens num_ctx num_predict num_gpu num_thread
repeat_last_n repeat_penalty tfs_z mirostat mirostat_eta mirostat_tau keep_alive think format raw options
ignore_eos skip_special_tokens spaces_between_special_tokens include_stop_str_in_output add_generation_prompt
guided_json guided_regex guided_choice guided_grammar guided_decoding_backend structured_outputs best_of
chat_template_kwargs enable_thinking include_reasoning transforms safe_prompt random_seed
"""
_LITELLM = """
metadata litellm_metadata tags litellm_session_id litellm_trace_id litellm_call_id session_id fallbacks
context_window_fallbacks content_policy_fallbacks router_settings_override disable_fallbacks num_retries max_retries
timeout request_timeout stream_timeout cache caching ttl s-maxage no-log guardrails drop_params
additional_drop_params allowed_openai_params mock_response mock_tool_calls mock_delay mock_timeout
mock_testing_fallbacks mock_testing_context_fallbacks mock_testing_content_policy_fallbacks
mock_testing_rate_limit_error fastest_response extra_body extra_headers headers cache_control_injection_points
"""

CHECKED = frozenset(f"{_OPENAI} {_ANTHROPIC} {_GEMINI} {_OTHERS} {_LITELLM}".split())
"""Fields that are read by `targets`, or choose neither a model nor where it computes."""

EXTRA = "extra_body"
"""What LiteLLM lays over the body that it sends."""

_CREDENTIALS = """
authorization proxy-authorization x-api-key api-key x-goog-api-key x-goog-iam-authorization-token cookie
ocp-apim-subscription-key x-amz-security-token x-amz-date x-amz-content-sha256 openai-organization openai-project
host content-length content-type content-encoding transfer-encoding connection keep-alive te trailer upgrade expect
"""

OF_DEPLOYMENTS = frozenset(_CREDENTIALS.split())
"""Headers by which a server knows who asks and how much comes: those of a deployment are its operator's."""

_HEADERS = ("extra_headers", "headers")
_NESTED = (EXTRA, "router_settings_override")


def unchecked(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of a body, `extra_body.*` included, of which nobody knows what they choose."""
    yield from (str(name) for name in body if name not in CHECKED)
    extra = body.get(EXTRA)
    if isinstance(extra, dict | Mapping):
        allowed = CHECKED - {"model", EXTRA}
        yield from (f"{EXTRA}.{name}" for name in extra if name not in allowed)


def credentials(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the headers that a request has a deployment sent in the place of the operator's own, by their place."""
    for prefix, place in (("", body), *((f"{name}.", body.get(name)) for name in _NESTED)):
        for field in _HEADERS:
            given = place.get(field) if isinstance(place, dict | Mapping) else None
            if isinstance(given, dict | Mapping):
                yield from (
                    f"{prefix}{field}.{name}" for name in given if str(name).strip().lower() in OF_DEPLOYMENTS
                )
