"""What the classifier is compared with: the plan's keyword lists as written there, and LiteLLM's complexity router."""

from __future__ import annotations

import litellm
from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

PLAN_TASKS = {
    "sentiment": (("sentiment", "stimmung", "bullish", "bearish", "fear", "greed"), 0),
    "classification": (("klassifizier", "categorize", "einordnen", "typ", "art"), 0),
    "extraction": (("extrahier", "extract", "finde", "liste", "nenne"), 0),
    "summary": (("zusammenfass", "summarize", "überblick", "kurz"), 1),
    "rag_query": (("was ist", "erkläre", "warum", "wie funktioniert"), 1),
    "trading_analysis": (("analyse", "analyze", "prognose", "forecast", "einschätzung"), 2),
    "strategy": (("strategie", "strategy", "plan", "vorgehen", "handelssystem"), 2),
}
PLAN_HARDER = (
    "detailliert", "ausführlich", "step-by-step", "begründe", "vergleiche", "trade-offs", "risiken", "szenarien",
)  # fmt: skip
PLAN_EASIER = ("kurz", "schnell", "einfach", "nur", "ja/nein", "one-liner")
TIERS = ("fast", "medium", "complex")
LITELLM_TIERS = {"SIMPLE": "fast", "MEDIUM": "medium", "COMPLEX": "complex", "REASONING": "complex"}


def plan(text: str) -> dict[str, object]:
    """Answer as the plan's `TaskClassifier` does: the first list with a substring in the text wins."""
    lower = text.lower()
    for task, (patterns, base) in PLAN_TASKS.items():
        if any(pattern in lower for pattern in patterns):
            tier = min(base + 1, 2) if any(sign in lower for sign in PLAN_HARDER) else base
            tier = max(tier - 1, 0) if any(sign in lower for sign in PLAN_EASIER) else tier
            return _answer(task, tier)
    if len(text) < 50:
        return _answer("chat", 0)
    return _answer("trading_analysis", 2) if len(text) > 500 else _answer("rag_query", 1)


class LiteLLMRouter:
    """LiteLLM's heuristic complexity router with its defaults. It knows no tasks."""

    def __init__(self) -> None:
        self._router = ComplexityRouter("auto", litellm.Router(model_list=[]))

    def __call__(self, text: str) -> dict[str, object]:
        """Return its tier and score."""
        tier, score, _ = self._router.classify(text)
        return {"task_type": None, "tier": LITELLM_TIERS[getattr(tier, "value", tier)], "score": score}


def _answer(task: str, tier: int) -> dict[str, object]:
    return {"task_type": task, "tier": TIERS[tier], "score": float(tier)}
