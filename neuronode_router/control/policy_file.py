"""The policy file of this host: read when it changes, and put in force when it says something new.

It must not know what a policy means. A broken file leaves the policy in force as it is, and is a problem that is shown.
"""

from __future__ import annotations

from dataclasses import replace

from neuronode_router.control.policies import Policies
from neuronode_router.control.policy_place import MISSING, PolicyPlace, PolicySignature
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import NeuronodeError, PolicyInvalid, Problem, StoreUnavailable
from neuronode_router.policy.document import Policy
from neuronode_router.policy.file import CAPS, parse_policy
from neuronode_router.threads import in_thread

POLICY_FILE = Actor("policy file", kind="watcher")


class PolicyFile:
    """Follows the file at `place`; `look` every second or so, in every worker: who comes second finds nothing to do.

    It believes what two looks in a row have found: an editor's save leaves a moment without the file, or with half of
    it. Content found at a start is put in force unless an earlier revision had it already: then the file is an old
    copy. So it is where it could not be put in force, and another policy was meanwhile. What this host itself has put
    in force already, by any worker, is no edit. A file that is taken away while it is followed ends the policy that it
    put in force; one that was never there says nothing.
    """

    def __init__(self, place: PolicyPlace, policies: Policies) -> None:
        self._place = place
        self._policies = policies
        self._found: PolicySignature | None = None
        """What the last look found."""
        self._seen: PolicySignature | None = None
        """What two looks in a row found, and was read; None: nothing yet."""
        self._wanted: Policy | None = None
        """What is still to be put in force."""
        self._in_force: str | None = None
        """Digest of the policy that was in force when that was tried first."""
        self._own: str | None = None
        """Digest of what the file said when it last was what is in force."""
        self._starting = True
        self._said: tuple[Problem, ...] = ()
        self._unreadable: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file."""
        return self._unreadable or self._said

    async def look(self) -> None:
        """Read the file if it changed, and put in force what it says. Raises `StoreUnavailable`."""
        await in_thread(self._read)
        if self._seen is None:
            return
        if self._wanted is not None:
            await self._beware_of_old_copies(self._wanted, self._seen)
        self._starting = False
        if self._wanted is None:
            return
        mark = self._seen.mark(self._wanted.digest)
        try:
            receipt = await self._policies.take_up(
                self._wanted,
                mark=mark,
                actor=POLICY_FILE,
                reason=f"{self._place.path.name} changed",
                wait="none",
            )
        except StoreUnavailable:
            raise
        except PolicyInvalid as error:
            self._said = tuple(self._here(problem) for problem in error.problems)
        except NeuronodeError as error:
            self._said = (self._here(Problem(error.code, error.message, error.fix)),)
        else:
            if not receipt.changed:  # else whoever committed has kept it
                await in_thread(self._place.keep, mark)
            self._own, self._wanted, self._said = self._wanted.digest, None, ()

    async def _beware_of_old_copies(self, wanted: Policy, seen: PolicySignature) -> None:
        """Want no more what others have gone past since the file said it."""
        current = await self._policies.digest()
        if self._in_force is None:
            self._in_force = current
        if seen == MISSING:
            if current != self._own:
                self._wanted = None
        elif self._starting:
            since = await self._policies.known_since(wanted.digest)
            if wanted.digest == current:
                self._own, self._wanted = current, None
                await in_thread(self._place.keep, seen.mark(current))
            elif since is not None:
                self._is_stale(f"The file says what revision {since} put in force")
        elif current not in (self._in_force, wanted.digest):
            self._is_stale("What the file says could not be put in force")

    def _is_stale(self, why: str) -> None:
        fix = "Write the policy that is meant into the file while the proxy runs."
        problem = Problem("policy_stale", f"{why}; another policy is in force now.", fix)
        self._wanted, self._said = None, (self._here(problem),)

    def _read(self) -> None:
        try:
            found = self._place.signature()
            settled, self._found = found == self._found, found
            if settled and found != self._seen:
                self._take(found)
        except FileNotFoundError:  # it has gone since: the next look sees that
            pass
        except OSError as error:
            problem = Problem("policy_unreadable", f"{error.strerror}.", "Make it readable.")
            self._found, self._unreadable = None, (self._here(problem),)
            return
        self._unreadable = ()

    def _take(self, found: PolicySignature) -> None:
        """Read what is wanted now."""
        self._in_force = None
        if found == MISSING:
            self._wanted, self._said = None if self._seen is None else Policy(), ()
        else:
            with self._place.path.open("rb") as file:
                self._wanted, self._said = parse_policy(file.read(CAPS.bytes + 1), file=self._place.path.name)
        self._seen = found

    def _here(self, problem: Problem) -> Problem:
        return replace(problem, file=problem.file or self._place.path.name)
