"""How a request to the proxy in this process carries a key: `key_headers(key, proxy)`.

It must not know whose key it is, nor import LiteLLM.
"""

from __future__ import annotations

from typing import Any


def key_headers(key: str, proxy: Any) -> dict[str, str]:
    """Return the headers in which LiteLLM's module `proxy` looks for a key, however it came to us. Never raises."""
    name = (proxy.general_settings or {}).get("litellm_key_header_name") or "authorization"
    return {"authorization": f"Bearer {key}", name.lower(): f"Bearer {key}"}
