"""What a request may not set: another name by which a deployment is asked, or credentials that are its operator's.

It must not know where the request leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuronode_router.errors import InvalidRequest
from neuronode_router.litellm_plugin.hooks import request_metadata
from neuronode_router.litellm_plugin.hooks.gate import unseen
from neuronode_router.routing.fields import credentials, unchecked

OF_A_PROVIDER = frozenset({"create_interaction", "acreate_interaction"})
"""The calls into whose body LiteLLM itself writes a provider, which it needs only where there is no model."""


def refuse_redirections(data: Mapping[str, Any], call_type: str, *, limited: bool) -> None:
    """Raise `InvalidRequest` for credentials, and HTTPException 403 for what cannot be checked of `limited` callers."""
    body = request_metadata.client_body(data)
    if call_type in OF_A_PROVIDER:
        body = {name: value for name, value in body.items() if name != "custom_llm_provider"}
    if named := next(credentials(body), None):
        raise InvalidRequest(
            f"The request sets the header {named}, which belongs to the deployment.",
            fix="Leave it out: the operator's configuration has what a deployment is asked with.",
        )
    if limited and (named := next(unchecked(body), None)):
        raise unseen(f"the field {named}")
