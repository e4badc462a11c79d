"""What can be told of each model group from a LiteLLM configuration: how heavy, how dear, how fast, and why.

It must not know profiles, nor ask anybody: notes in the configuration, prices, and names are all there is.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuronode_router.cli.effective import CHAT_MODES, Deployment
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.profiles.configuration import section

PRICE_FILE = "model_prices_and_context_window_backup.json"
MILLION = 1_000_000
CHEAPEST_PRICES = ((1.0, Tier.FAST), (8.0, Tier.MEDIUM))
"""Dollars for a million tokens of an answer, up to which a group counts as that tier; above them it is complex."""
SMALLEST_SIZES = ((4.0, Tier.FAST), (20.0, Tier.MEDIUM))
"""Billions of parameters in a name, likewise."""
GUESSED_PRICES: Mapping[Tier, float] = {Tier.FAST: 1.0, Tier.MEDIUM: 5.0, Tier.COMPLEX: 20.0}
LOCAL_PRICES: Mapping[Tier, float] = {Tier.FAST: 0.01, Tier.MEDIUM: 0.05, Tier.COMPLEX: 0.5}
"""Own hardware costs electricity and waiting: below every provider, dearer the larger."""
GUESSED_LATENCIES: Mapping[Tier, float] = {Tier.FAST: 400, Tier.MEDIUM: 1000, Tier.COMPLEX: 2000}

_SIZE = re.compile(r"(?<![\w.])(\d{1,4}(?:\.\d)?)b\b", re.ASCII)
_LIGHT = re.compile(r"(?<![a-z])(nano|mini|tiny|small|lite|flash|haiku|instant|fast)(?![a-z])", re.ASCII)
_HEAVY = re.compile(r"(?<![a-z])(opus|pro|large|max|ultra|reason\w*|complex|o[1-9])(?![a-z])", re.ASCII)
_NOT_TEXT = re.compile(r"embed|whisper|tts|dall-e|image|rerank|moderation|transcri|speech|veo|sora", re.ASCII)
_NO_CHAT = re.compile(r"deep-research|realtime|computer-use", re.ASCII)
"""What takes minutes, a socket or a desktop, in whatever mode it is listed."""
_LOCAL = frozenset({"ollama", "ollama_chat", "vllm", "hosted_vllm", "lm_studio", "llamafile", "xinference"})


@dataclass(frozen=True, slots=True)
class Group:
    """One model group."""

    name: str
    tier: Tier
    tier_why: str
    price: float
    """Dollars for a million tokens of an answer: what is known, or a guess that orders groups."""
    price_why: str
    latency: float
    """Milliseconds to a short answer: noted, or a guess that orders groups."""
    vendor: str
    capabilities: tuple[str, ...]


def text_groups(
    deployments: Iterable[Deployment], prices: Mapping[str, Any]
) -> tuple[list[Group], dict[str, str]]:
    """Return what is known of each group that answers with text, and the other groups with why they are not used.

    Of a group with several deployments the first counts. `prices` is LiteLLM's own map.
    """
    groups: dict[str, Group] = {}
    unused: dict[str, str] = {}
    for deployment in deployments:
        name = str(deployment["model_name"])
        if name in groups or name in unused:
            continue
        if why := _not_for_text(name, deployment, prices):
            unused[name] = why
        else:
            groups[name] = _group(name, deployment, prices)
    return list(groups.values()), unused


def litellm_prices() -> Mapping[str, Any]:
    """Return the price map of the LiteLLM that is installed here, without importing it; empty where there is none."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    try:
        prices = json.loads(Path(spec.origin).with_name(PRICE_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return prices if isinstance(prices, dict) else {}


def _not_for_text(name: str, deployment: Deployment, prices: Mapping[str, Any]) -> str | None:
    target = _target(deployment)
    mode = section(deployment, "model_info").get("mode") or _listed(target, prices).get("mode")
    if "*" in name:
        return "a wildcard is no group that a task could be sent to"
    if target.startswith("auto_router/"):
        return "a router of LiteLLM's own"
    if mode not in CHAT_MODES:
        return f"its mode is {mode}"
    words = f"{name} {target}".lower()
    if found := _NO_CHAT.search(words) or (_NOT_TEXT.search(words) if mode is None else None):
        return f"{found[0]!r} in its name"
    return None


def _group(name: str, deployment: Deployment, prices: Mapping[str, Any]) -> Group:
    target = _target(deployment)
    noted = section(section(deployment, "model_info"), "neuronode")
    vendor = target.partition("/")[0] if "/" in target else "openai"
    known = _known_price(deployment, target, prices)
    tier, tier_why = _tier(f"{name} {target}".lower(), noted, None if vendor in _LOCAL else known)
    price, price_why = _price(tier, known, local=vendor in _LOCAL)
    latency = _number(noted.get("avg_latency_ms")) or GUESSED_LATENCIES[tier]
    capabilities = noted.get("capabilities")
    able = tuple(map(str, capabilities)) if isinstance(capabilities, list) else ()
    return Group(name, tier, tier_why, price, price_why, latency, vendor, able)


def _tier(words: str, noted: Mapping[str, Any], price: float | None) -> tuple[Tier, str]:
    if noted.get("tier") in tuple(TIERS):
        return Tier(noted["tier"]), "noted in model_info"
    if named := re.search(r"\btier_(fast|medium|complex)\b", words, re.ASCII):
        return Tier(named[1]), "its name"
    if price:
        tier = next((tier for most, tier in CHEAPEST_PRICES if price <= most), Tier.COMPLEX)
        return tier, f"${price:g} per million tokens"
    if size := _SIZE.search(words):
        tier = next((tier for most, tier in SMALLEST_SIZES if float(size[1]) <= most), Tier.COMPLEX)
        return tier, f"{size[1]} billion parameters"
    # Light before heavy: `o4-mini` is both, and is light.
    if light := _LIGHT.search(words):
        return Tier.FAST, f"{light[1]!r} in its name"
    if heavy := _HEAVY.search(words):
        return Tier.COMPLEX, f"{heavy[1]!r} in its name"
    return Tier.MEDIUM, "nothing is known of it"


def _price(tier: Tier, known: float | None, *, local: bool) -> tuple[float, str]:
    if local:
        return LOCAL_PRICES[tier], "own hardware"
    if known is not None:
        return known, f"${known:g} per million tokens"
    return GUESSED_PRICES[tier], "guessed from its tier"


def _known_price(deployment: Deployment, target: str, prices: Mapping[str, Any]) -> float | None:
    for part in (
        section(deployment, "model_info"),
        section(deployment, "litellm_params"),
        _listed(target, prices),
    ):
        if (price := _number(part.get("output_cost_per_token"))) is not None:
            return round(price * MILLION, 4)
    return None


def _listed(target: str, prices: Mapping[str, Any]) -> Mapping[str, Any]:
    return section(prices, target) or section(prices, target.partition("/")[2])


def _target(deployment: Deployment) -> str:
    return str(section(deployment, "litellm_params").get("model", ""))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
