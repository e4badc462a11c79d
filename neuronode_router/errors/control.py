"""The errors by which the control state refuses: switches, rollouts, shadow comparisons, the policy, the store.

It must not know why they are raised.
"""

from __future__ import annotations

from collections.abc import Sequence

from neuronode_router.errors.base import NeuronodeError, Problem


class ControlError(NeuronodeError):
    """The control state refused."""


class RevisionConflict(ControlError):
    """Somebody else committed in between: the revision the caller saw is not the current one."""

    code = "revision_conflict"

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(
            f"The current revision is {actual}, not {expected}.",
            fix="Read the status again, look at what changed, and repeat with its ETag.",
        )
        self.expected = expected
        self.actual = actual


class FilesAhead(RevisionConflict):
    """An edit through the API meets one of the profile files that has not been picked up yet."""

    def __init__(self, revision: int) -> None:
        super().__init__(expected=revision, actual=revision)
        self.message = "Somebody is editing the profile files: they say what is not in force yet."
        self.fix = (
            "Repeat it in a moment, with the ETag of then. GET /admin/profiles/status says what is wrong with files "
            "that are not picked up; POST /admin/reload puts them in force."
        )


class UnknownRevision(ControlError):
    """A rollback names a revision that does not exist."""

    code = "unknown_revision"
    fix = "Choose a revision from GET /admin/audit."


class StoreUnavailable(ControlError):
    """The SQL store did not answer. The last snapshot keeps serving; nothing was changed."""

    code = "store_unavailable"
    fix = "Check the database named by NEURONODE_STATE_URL, then repeat."


class SchemaTooNew(StoreUnavailable):
    """A newer release has migrated the database, and it does not allow for this one."""

    code = "schema_too_new"
    fix = (
        "Run the newer release here too. To go back, restore the database as it was before the upgrade, under "
        "the release of that time."
    )


class CommitUnknown(StoreUnavailable):
    """The SQL store did not answer the commit itself: the change may be in force, now or once the store goes on."""

    code = "commit_unknown"
    fix = "Look at GET /admin/profiles/status, or repeat with the same Idempotency-Key: it is not done twice."


class PolicyUnreadable(StoreUnavailable):
    """The stored policy that is in force cannot be read here: this release or this machine does not know what it names.

    Another policy can be put in force all the same.
    """

    fix = (
        "Run the same release on every host, with the same time zones (the system's tzdata); or write another policy "
        "into the policy file."
    )


class StateUnreadable(StoreUnavailable):
    """A stored revision cannot be read here: a newer release has written what this one would leave out.

    What was served stays, and nothing is changed from here.
    """

    fix = (
        "Run the same release on every host; before going back to an older one, take out of the profiles what only the "
        "newer one knows. If all run the same, `neuronode audit verify` tells whether somebody edited the database."
    )

    def __init__(self, message: str, *, revision: int) -> None:
        super().__init__(message)
        self.revision = revision


class NotReady(ControlError):
    """Nothing valid has been committed yet, so there is nothing to switch."""

    code = "not_ready"
    fix = "Fix the profile files (GET /admin/profiles/status lists the problems), then POST /admin/reload."


class IdempotencyMismatch(ControlError):
    """The Idempotency-Key was used before with a different request."""

    code = "idempotency_mismatch"
    fix = "Use a fresh Idempotency-Key for a different request."


class AuditBroken(ControlError):
    """The audit chain does not verify; `revision` is the first row that is wrong."""

    code = "audit_broken"
    fix = "Compare the row with a backup or an exported copy of the audit log."

    def __init__(self, message: str, *, revision: int, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.revision = revision


class UnprovenProfile(ControlError):
    """A change would put a profile in force that is not proven to answer; the cells are in `problems`."""

    code = "unproven_profile"
    fix = (
        "Probe it with POST /admin/proof/validate?live=1, or repeat with `force`, which the audit log shows."
    )

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        cells = ", ".join(f"{problem.path} ({problem.code})" for problem in self.problems)
        super().__init__(f"Not proven to answer: {cells}.")


class UntilIsOver(ControlError):
    """A switch that is to hold until a time that has passed."""

    code = "until_is_over"
    fix = "Name a later time, or none."


class WarmFailed(ControlError):
    """The local models that a change was to wait for did not come into memory; which ones is in `problems`."""

    code = "warm_failed"
    fix = (
        "Mend what is listed, or repeat with `warm: background`, or with `force`, which the audit log shows; "
        "`pull` fetches what is missing."
    )

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("Nothing was changed: " + " ".join(problem.message for problem in self.problems))


class PolicyInvalid(ControlError):
    """A policy has problems; all of them are in `problems`."""

    code = "policy_invalid"
    fix = "Fix every problem listed; the policy in force stays until then."

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the policy: {self.problems[0]}")


class NothingHeld(ControlError):
    """A release where nobody holds a profile."""

    code = "nothing_held"
    fix = "Nothing: the policy decides already. `neuronode policy show` says what it makes active."


class UnknownRollout(ControlError):
    """No rollout has this id, or none runs."""

    code = "unknown_rollout"
    fix = "List them with GET /admin/rollouts or `neuronode rollout history`."


class RolloutRefused(ControlError):
    """A rollout cannot begin, or what was asked cannot be done where it stands."""

    code = "rollout_refused"
    fix = "Look at it with GET /admin/rollouts or `neuronode rollout status`; abort or promote it first."


class FactNotRecorded(ControlError):
    """A guard on what is not recorded in this proxy: it would wait for ever."""

    code = "fact_not_recorded"
    fix = "Set NEURONODE_HISTORY=on and restart the proxy, or leave that guard out."


class UnknownShadow(ControlError):
    """No shadow comparison has this id."""

    code = "unknown_shadow"
    fix = "List them with GET /admin/shadows or `neuronode shadow status`."


class ShadowRefused(ControlError):
    """A shadow comparison cannot begin, or is over."""

    code = "shadow_refused"
    fix = "Look at it with GET /admin/shadows or `neuronode shadow status`; stop it first."


class ProbesRunning(ControlError):
    """A run of probes was asked for while another one is under way, in this worker or another."""

    code = "probes_running"
    fix = "Wait until it has ended, or stop it where it was begun; GET /admin/proof/matrix has what it finds."


class LeaseLost(ControlError):
    """Another worker leads now. What this one was about to write is not written."""

    code = "lease_lost"
    fix = "Nothing: the other worker goes on."
