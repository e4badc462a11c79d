"""Agent sessions, request by request as they grow: a coding agent's tool loops, follow-ups, and a front end's errands.

The sessions are written here, by a seed, and not taken from anywhere: they show how a way behaves within a
conversation, not how well it reads prompts. Ours keeps sessions as the proxy does; the others see each request alone.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.classifier.baselines import LiteLLMRouter, plan
from benchmarks.routing.ways import snapshot
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.classifier import shipped
from neuronode_router.classifier.evaluation import COSTS, by_length, judge
from neuronode_router.domain.names import AUTO, TIERS, Tier

SESSIONS = 60
LIGHT, MIDDLE, HEAVY = ("fast",), ("fast", "medium"), ("medium", "complex")

TASKS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Rename the variable cnt to count in utils.py.", MIDDLE),
    ("Bump the version in pyproject.toml to 1.4.2.", MIDDLE),
    ("Korrigiere den Tippfehler in der Überschrift der README.", MIDDLE),
    ("Add a docstring to the function load_config.", MIDDLE),
    (
        "Two workers sometimes both take the same job. Find the race in queue.py and make it impossible.",
        HEAVY,
    ),
    ("Refactor the payment module so that retries cannot charge twice, and cover it with tests.", HEAVY),
    (
        "Der Import verliert bei jedem Neustart Zeilen. Finde die Ursache über alle Module und behebe sie.",
        HEAVY,
    ),
    (
        "Design the migration from one database per tenant to a shared one without downtime; weigh the risks.",
        HEAVY,
    ),
    ("Prove that the cache can never return a value older than its source, or show a counterexample.", HEAVY),
)
FOLLOW_UPS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("run the tests again", MIDDLE),
    ("Ok, commit it.", MIDDLE),
    ("danke, zeig mir noch den Diff", MIDDLE),
    ("Now make the same thing safe when the process is killed halfway, and prove it with a test.", HEAVY),
)
TITLE = "Generate a concise title of 3 to 5 words for this conversation.\n<chat_history>\n{quoted}\n</chat_history>"
SYSTEM = (
    "You are a coding agent. You have tools to read and write files and to run commands. Work step by step, keep to "
    "the style of the project, and say what you did in the end."
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        },
    }
    for name in ("read_file", "write_file", "run")
]
OUTPUTS = (
    "def take(self):\n    job = self.jobs[0]\n    self.jobs.remove(job)\n    return job\n" * 6,
    "3 failed, 41 passed in 2.31s\nE   AssertionError: assert 2 == 1\n" * 4,
    json.dumps({"files": [f"src/module_{n}.py" for n in range(30)]}),
)


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One request of a session, and which tiers would do."""

    session: int
    kind: str
    body: Mapping[str, Any]
    allowed: tuple[Tier, ...]


def sessions(seed: int = 0) -> Iterator[AgentRequest]:
    """Yield the requests of all sessions, in their order."""
    for number in range(SESSIONS):
        yield from _session(number, random.Random(f"{seed}:{number}"))


def _session(number: int, dice: random.Random) -> Iterator[AgentRequest]:
    turns: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
    for kind, (text, allowed) in (
        ("task", dice.choice(TASKS)),
        *(("follow-up", each) for each in dice.sample(FOLLOW_UPS, 2)),
    ):
        turns.append({"role": "user", "content": text})
        yield _request(number, kind, turns, allowed)
        for call in range(dice.randint(1, 4)):
            turns += _tool_round(f"{number}-{len(turns)}-{call}", dice)
            yield _request(number, "loop", turns, allowed)
        turns.append({"role": "assistant", "content": "Done: the change is made and the tests pass."})
    quoted = "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns[1:] if turn.get("content"))
    yield _request(number, "errand", [{"role": "user", "content": TITLE.format(quoted=quoted[:4000])}], LIGHT)


def _tool_round(call: str, dice: random.Random) -> list[dict[str, Any]]:
    function = {"name": "run", "arguments": json.dumps({"path": "src"})}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call, "content": dice.choice(OUTPUTS)},
    ]


def _request(number: int, kind: str, turns: Sequence[Any], allowed: Sequence[str]) -> AgentRequest:
    body: dict[str, Any] = {"messages": list(turns)}
    if kind != "errand":
        body["tools"] = TOOLS
    return AgentRequest(number, kind, body, tuple(map(Tier, allowed)))


def report() -> Iterator[str]:
    """Yield the table: every way on the same requests."""
    asked = list(sessions())
    yield f"\n{len(asked)} requests of {SESSIONS} agent sessions (`benchmarks/routing/agents.py` writes them):\n"
    yield "| way | tier | too cheap | too dear | hard sent to the light tier | changes of tier a session | mean cost |"
    yield "|---|---|---|---|---|---|---|"
    for name, tiers in _ways(asked).items():
        yield _line(name, asked, tiers)


def _ways(asked: Sequence[AgentRequest]) -> dict[str, list[Tier]]:
    host, dice, ours = LiteLLMRouter(), random.Random(0), _ours(asked)
    last = [_last(request.body["messages"]) for request in asked]
    return {
        "ours, shipped": ours,
        "LiteLLM complexity router": [Tier(str(host(text)["tier"])) for text in last],
        "the plan's lists": [Tier(str(plan(text)["tier"])) for text in last],
        "length of the last turn": [by_length(len(text)) for text in last],
        "random, our shares": [dice.choice(ours) for _ in asked],
        **{f"always {tier}": [tier] * len(asked) for tier in TIERS},
    }


def _ours(asked: Sequence[AgentRequest]) -> list[Tier]:
    router, found = AutoRouter(classifier=shipped(), statuses=dict), snapshot()
    decision = found.meanings[found.state.active][AUTO]
    tiers = []
    for request in asked:
        caller = Caller("benchmark", session=str(request.session))
        routed = router.route(decision, request.body, snapshot=found, caller=caller)
        assert routed.decision.tier is not None
        tiers.append(routed.decision.tier)
    return tiers


def _line(name: str, asked: Sequence[AgentRequest], tiers: Sequence[Tier]) -> str:
    judged = [judge(tier, request.allowed) for tier, request in zip(tiers, asked, strict=True)]
    hard = [item.tier is Tier.FAST for item in judged if item.hard]
    ways: dict[int, list[Tier]] = {}
    for tier, request in zip(tiers, asked, strict=True):
        if request.kind != "errand":
            ways.setdefault(request.session, []).append(tier)
    changes = sum(left is not right for way in ways.values() for left, right in itertools.pairwise(way))
    shares = (
        sum(item.step == 0 for item in judged) / len(judged),
        sum(item.step < 0 for item in judged) / len(judged),
        sum(item.step > 0 for item in judged) / len(judged),
        sum(hard) / len(hard),
    )
    cost = sum(COSTS[tier] for tier in tiers) / len(tiers)
    return f"| {name} | {' | '.join(f'{share:.3f}' for share in shares)} | {changes / len(ways):.2f} | {cost:.2f} |"


def _last(messages: Sequence[Mapping[str, Any]]) -> str:
    return next((str(turn["content"]) for turn in reversed(messages) if turn["role"] == "user"), "")
