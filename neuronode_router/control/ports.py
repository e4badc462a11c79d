"""What the control room needs from others, as protocols that it owns.

It must not know who implements them: profile files, LiteLLM's router, Redis and inotify are behind these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from neuronode_router.domain import ControlState, GateResult, HostFacts, Profile, ProfileSet

Prepared = TypeVar("Prepared")


class StagedEdit(Protocol):
    """An edit that was validated and rendered, and is not written yet."""

    @property
    def profiles(self) -> ProfileSet:
        """The whole set as it will be once published."""
        ...

    def publish(self) -> None:
        """Write each file atomically (temporary file, fsync, rename). Raises `ProfilesReadOnly`; nothing has changed.

        A process that is killed between two files leaves what the next reader needs to end the publish.
        """
        ...

    def revert(self) -> None:
        """Put back the bytes that `publish` replaced. Never raises after a successful publish."""
        ...

    def finish(self) -> None:
        """Let what was published stand, because it is committed. Never raises."""
        ...


class ProfileSource(Protocol):
    """The profile files as the ProfileManager needs them. All methods block; call them in a thread.

    None of them sees half a publish: one that is under way is waited for, one whose process died is ended first. For
    that they take the store's lock, so call none inside a commit; they may raise `StoreUnavailable`.
    """

    def load(self, host: HostFacts) -> ProfileSet:
        """Read and validate all files against the host. Raises `ProfilesInvalid` with every problem."""
        ...

    def stage_profile(self, name: str, document: Mapping[str, Any], host: HostFacts) -> StagedEdit:
        """Prepare replacing (or adding) one profile. Raises `ProfilesInvalid`, `ProfilesReadOnly`."""
        ...

    def stage_task(self, name: str, task: str, group: str, host: HostFacts) -> StagedEdit:
        """Prepare changing one mapping. Raises `UnknownProfile`, `UnknownTask` and what `stage_profile` raises."""
        ...

    def stage_set(self, profiles: ProfileSet, host: HostFacts) -> StagedEdit:
        """Prepare making the files say exactly `profiles` (a rollback). Raises what `stage_profile` raises."""
        ...


class Applier(Protocol[Prepared]):
    """How a worker process takes up a new control state."""

    def prepare(self, state: ControlState) -> Prepared:
        """Do everything that can fail; runs in the worker's thread. Whatever it raises is a refusal (nack).

        Of a `NeuronodeError` the reason is told; anything else is a fault of ours, logged with its traceback.
        """
        ...

    def swap(self, prepared: Prepared) -> None:
        """Make it effective: one assignment. Runs in the worker's thread, never raises, never waits."""
        ...


class Gate(Protocol):
    """Says whether profiles may be put in force. It decides nothing about those that already are."""

    def admit(self, profiles: Sequence[Profile], *, force: bool) -> GateResult:
        """Return what receipt and audit log shall say. Blocks. Raises `UnprovenProfile`, `StoreUnavailable`."""
        ...


class Wake(Protocol):
    """Tells workers that there is something to read. It carries no truth and may lose messages: a poll heals."""

    @property
    def mode(self) -> str:
        """What is in force, for the status page: "inotify", "redis", "poll" and the like."""
        ...

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen; `on_wake` is called from any thread. Never raises when the channel is down."""
        ...

    async def signal(self, revision: int) -> None:
        """Wake everybody who listens. Never raises; returns within a bounded time when the channel is down."""
        ...

    async def stop(self) -> None:
        """Stop listening and free what was taken."""
        ...
