"""What `neuronode serve` tells its user: each step with its seconds, and a banner with four commands.

It must not know processes, and is never given a key: only where it is kept.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neuronode_router.cli.effective import Plan
from neuronode_router.cli.serve.embedded import DISPLAY_NAME
from neuronode_router.cli.serve.master_key import MasterKey

PLAIN = "-sS -w '\\n'"
QUESTION = "Is this review positive or negative? I love this phone, the battery lasts for days."


@dataclass(frozen=True, slots=True)
class InForce:
    """The active profile, None where the proxy does not say; and why nothing is in force, "" where something is."""

    active: str | None
    lacking: str = ""

    @classmethod
    def told(cls, document: object) -> InForce:
        """Return what the answer to a question for the status says. Never raises."""
        said = document if isinstance(document, dict) else {}
        if "detail" in said:
            return cls(None, f"{said['detail']} {said.get('fix', '')}".strip())
        if said.get("served_revision") == 0:
            why = (
                problem.get("message") for problem in said.get("problems") or () if isinstance(problem, dict)
            )
            return cls(None, str(next(why, "The status says why.")))
        return cls(str(said["active_profile"]) if said.get("active_profile") else None)


class Progress:
    """Prints steps as they end, with the seconds each took and the seconds since the start."""

    def __init__(self, emit: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit = emit
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Time the block; nothing is printed for one that fails."""
        began = self._clock()
        yield
        self._emit(f"  {what:<78}{self._clock() - began:6.1f} s")

    def note(self, text: str) -> None:
        """Print a line of its own."""
        self._emit(f"  {text}")


def embedded_lines(plan: Plan) -> list[str]:
    """Say honestly which groups the built-in tiny model answers, and why."""
    if not plan.embedded:
        return [f"Backends  all {len(plan.groups)} model groups use the backends of your configuration."]
    reasons = "; ".join(sorted(set(plan.embedded.values())))
    which = f"{len(plan.embedded)} of {len(plan.groups)} model groups"
    if len(plan.embedded) == len(plan.groups):
        which = f"all {len(plan.groups)} model groups"
    lines = [
        f"Embedded  {which} are answered by {DISPLAY_NAME}, a tiny model on this machine,",
        f"          because their own backend is not configured: {reasons}.",
        "          Good for trying things out, not for quality; such answers carry x-neuronode-embedded: 1.",
    ]
    if len(plan.embedded) < len(plan.groups):
        lines.append(f"          They are: {', '.join(sorted(plan.embedded))}.")
    return lines


def ready_banner(
    url: str, *, plan: Plan, key: MasterKey, found: InForce, profiles: tuple[str, ...], seconds: float
) -> str:
    """Return the banner. The commands ask, switch to a profile that is not active, and ask again."""
    active = found.active
    other = next((name for name in ("balanced", "cost_effective", *profiles) if name != active), "balanced")
    return "\n".join(
        [
            "",
            f"Ready after {seconds:.1f} s at {url}" + (f", profile {active}" if active else ""),
            "",
            *_lacking_lines(found.lacking),
            *embedded_lines(plan),
            f"Key       {key.origin}.",
            f"Page      {url}/admin/ui/  (sign in with that key)",
            "",
            "Ask for a task:",
            f"  {ask_command(url, key)}",
            "Switch the profile:",
            f"  {switch_command(url, key, other)}",
            "Ask again, and see who answers now:",
            f"  {ask_command(url, key, flags='-sSD - -o /dev/null')} | grep -i x-neuronode",
            "Look from another terminal:",
            f"  {status_command(url, key)}",
            "",
        ]
    )


def _lacking_lines(lacking: str) -> list[str]:
    if not lacking:
        return []
    return [
        f"In force  nothing: {lacking}",
        "          Until then LiteLLM's own aliases answer, without profiles, bindings and rules.",
    ]


def ask_command(url: str, key: MasterKey, *, flags: str = PLAIN) -> str:
    """Return a command that asks for the task `classification`."""
    body = {
        "model": "classification",
        "max_tokens": 40,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    return _curl(f"{url}/v1/chat/completions", key, body, flags)


def switch_command(url: str, key: MasterKey, profile: str) -> str:
    """Return a command that makes `profile` the active one."""
    return _curl(f"{url}/admin/profiles/switch", key, {"profile": profile, "reason": "trying it out"}, PLAIN)


def status_command(url: str, key: MasterKey) -> str:
    """Return a command that shows the status, from whatever folder it is pasted in."""
    return f'LITELLM_API_KEY="{key.shell}" {shlex.quote(program())} status --url {url}'


def program() -> str:
    """Return what starts this command line in a shell like the one that started us."""
    here = Path(sys.executable).parent / "neuronode"
    found = shutil.which("neuronode")
    return "neuronode" if found and Path(found) == here else str(here)


def _curl(url: str, key: MasterKey, body: object, flags: str) -> str:
    return (
        f'curl {flags} {url} -H "Authorization: Bearer {key.shell}"'
        f" -H 'Content-Type: application/json' -d '{json.dumps(body)}'"
    )
