"""Every error this package raises, drawn on one page; those of the control state are written in `control`.

This room knows no HTTP, no SQL and no LiteLLM; `admin_api` maps `code` to a status.

* NeuronodeError
  + ProfileError            what the operator wrote is wrong
    - ProfilesInvalid       files or a document with problems, all of them listed
    - UnknownProfile        a name that no profile has
    - UnknownTask           a task alias that the profile does not map
    - UnknownTier           a tier that is not fast, medium or complex
    - InvalidRequest        a body that no server can be sent
    - DoesNotFit            a request that no model group can hold
    - ProfilesReadOnly      the files cannot be written (a ConfigMap, a read-only mount)
    - StaleFiles            the files are an old copy: an earlier revision said the same, the current one does not
    - RenderFailed          litellm_config.yaml could not be rewritten; what is served is not affected
  + ControlError            the control state refused
    - RevisionConflict      If-Match named another revision than the current one
      - FilesAhead            an edit through the API met one of the files that is not picked up yet
    - UnknownRevision       a rollback names a revision that was never committed
    - StoreUnavailable      the SQL store did not answer; the last snapshot keeps serving
      - SchemaTooNew        a newer release migrated it, and does not allow for this one
      - CommitUnknown       it did not answer the commit: the change may be in force
      - PolicyUnreadable    the policy in force says what this release or this machine does not know
      - StateUnreadable     a stored revision says what this release does not know
    - NotReady              no control state yet: nothing valid was ever committed
    - IdempotencyMismatch   an Idempotency-Key came back with another request
    - AuditBroken           the audit chain does not verify
    - UnprovenProfile       a switch onto a profile whose cells are red or too old
    - UntilIsOver           a switch that was to hold until a time that has passed
    - WarmFailed            local models that a switch was to wait for are not in memory
    - PolicyInvalid         a policy with problems, all of them listed
    - NothingHeld           a release where nobody holds a profile
    - UnknownRollout        no rollout has this id, or none runs
    - RolloutRefused        a rollout that cannot begin, or an act that cannot be done where it stands
    - FactNotRecorded       a guard on what is not recorded in this proxy
    - UnknownShadow         no comparison has this id, or none runs
    - ShadowRefused         a comparison that cannot begin
    - ProbesRunning         a run of probes while another one asks
    - LeaseLost             another worker leads now; what this one was about to write is not written
  + AccessError
    - NotAuthenticated      no key, or a key nobody knows
    - NotAllowed            a known caller who may not do this
      - HoldsPersonalData   a request whose personal data would go where a rule forbids it
      - LeavesResidency     a request that would be sent to where its data may not go
  + HostError               LiteLLM is not what we can build on
    - UnsupportedLiteLLM    outside the tested range, or a seam is missing
    - CompromisedLiteLLM    a release known to be malicious
    - AdminClosed           the proxy has no master key, so nobody can be told apart
    - RouterTaken           a router of the SDK has a custom routing strategy already
  + TaskError               a task of the task API
    - TemplatesInvalid      task templates with problems, all of them listed
    - BadTaskInput          what a caller gave does not fit the task
    - UnknownTemplate       a name that no task template has
    - CompletionFailed      the chat request of a task got no answer
  + ArtefactRefused         trained weights that are missing, altered or not ours
  + HistoryUnavailable      the classifier's history of decisions is off or cannot be read or written
  + UnknownCall             feedback on a call that is not in that history, or is somebody else's
  + SettingsError           an environment variable or flag that cannot be used

Each carries `code` (stable, for programs), a message (what happened) and `fix` (what to do).
"""

from __future__ import annotations

from collections.abc import Sequence

from neuronode_router.errors.base import NeuronodeError as NeuronodeError
from neuronode_router.errors.base import Problem as Problem
from neuronode_router.errors.control import AuditBroken as AuditBroken
from neuronode_router.errors.control import CommitUnknown as CommitUnknown
from neuronode_router.errors.control import ControlError as ControlError
from neuronode_router.errors.control import FactNotRecorded as FactNotRecorded
from neuronode_router.errors.control import FilesAhead as FilesAhead
from neuronode_router.errors.control import IdempotencyMismatch as IdempotencyMismatch
from neuronode_router.errors.control import LeaseLost as LeaseLost
from neuronode_router.errors.control import NothingHeld as NothingHeld
from neuronode_router.errors.control import NotReady as NotReady
from neuronode_router.errors.control import PolicyInvalid as PolicyInvalid
from neuronode_router.errors.control import PolicyUnreadable as PolicyUnreadable
from neuronode_router.errors.control import ProbesRunning as ProbesRunning
from neuronode_router.errors.control import RevisionConflict as RevisionConflict
from neuronode_router.errors.control import RolloutRefused as RolloutRefused
from neuronode_router.errors.control import SchemaTooNew as SchemaTooNew
from neuronode_router.errors.control import ShadowRefused as ShadowRefused
from neuronode_router.errors.control import StateUnreadable as StateUnreadable
from neuronode_router.errors.control import StoreUnavailable as StoreUnavailable
from neuronode_router.errors.control import UnknownRevision as UnknownRevision
from neuronode_router.errors.control import UnknownRollout as UnknownRollout
from neuronode_router.errors.control import UnknownShadow as UnknownShadow
from neuronode_router.errors.control import UnprovenProfile as UnprovenProfile
from neuronode_router.errors.control import UntilIsOver as UntilIsOver
from neuronode_router.errors.control import WarmFailed as WarmFailed


class ProfileError(NeuronodeError):
    """What the operator wrote is wrong."""


class ProfilesInvalid(ProfileError):
    """Profile files or a submitted document have problems; all of them are in `problems`."""

    code = "profiles_invalid"
    fix = "Fix every problem listed; the last good set keeps serving until then."

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        first = f": {self.problems[0]}" if self.problems else ""
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the profiles{first}")


class UnknownProfile(ProfileError):
    """No profile has this name."""

    code = "unknown_profile"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no profile {name!r}.", fix=f"Use one of: {', '.join(sorted(known))}.")


class UnknownTask(ProfileError):
    """The profile maps no task alias of this name."""

    code = "unknown_task"

    def __init__(self, task: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no task alias {task!r}.", fix=f"Use one of: {', '.join(sorted(known))}.")


class UnknownTier(ProfileError):
    """A tier that does not exist."""

    code = "unknown_tier"
    fix = "Write fast, medium or complex."


class InvalidRequest(ProfileError):
    """A request that cannot be sent to any server, or answered with headers."""

    code = "invalid_request"
    fix = "Correct the request; no provider was asked."


class DoesNotFit(ProfileError):
    """No model group that the request may go to can hold it. Nobody was asked."""

    code = "does_not_fit"
    fix = "Shorten it, or send what these models read; operators set `nothing_fits` and `model_info`."

    def __init__(self, why: str) -> None:
        super().__init__(f"The request fits no model it may go to: {why}.")


class ProfilesReadOnly(ProfileError):
    """The profile files cannot be written where they lie."""

    code = "profiles_read_only"
    fix = "Edit the profiles where they come from (ConfigMap, image, repository); the change is picked up from there."


class StaleFiles(ProfileError):
    """The profile files found at a start are an old copy. What is committed stays in force."""

    code = "stale_files"
    fix = "Bring this host's profile files up to date, or POST /admin/reload to put them in force."

    def __init__(self, *, revision: int, current: int) -> None:
        super().__init__(
            f"The profile files say what revision {revision} said; revision {current} is in force."
        )


class RenderFailed(ProfileError):
    """LiteLLM's configuration could not be rewritten. It is as it was, and what is served is not affected."""

    code = "render_failed"
    fix = "Make the file and its directory writable for the proxy, or set NEURONODE_RENDER=off."


class AccessError(NeuronodeError):
    """The caller may not."""


class NotAuthenticated(AccessError):
    """No key was sent, or nobody knows it."""

    code = "not_authenticated"
    fix = "Send `Authorization: Bearer <key>` with a key this proxy knows."


class NotAllowed(AccessError):
    """The caller is known and may not do this."""

    code = "not_allowed"
    fix = "Ask an administrator of the proxy, or use a key that has the right."


class HoldsPersonalData(NotAllowed):
    """A request whose personal data would go where the rule of a profile, a key or a team forbids it."""

    def __init__(self, message: str, *, fix: str, kinds: Sequence[str]) -> None:
        super().__init__(message, fix=fix)
        self.kinds = tuple(kinds)
        """What was found, and not how it reads."""


class LeavesResidency(NotAllowed):
    """A request that would be sent to where its data may not go."""


class HostError(NeuronodeError):
    """LiteLLM is not what this package can build on."""


class UnsupportedLiteLLM(HostError):
    """The installed LiteLLM is older than anything we can build on, lacks what all of it stands on, or is none."""

    code = "unsupported_litellm"
    fix = "Install a tested release; docs/operations.md lists them."


class CompromisedLiteLLM(HostError):
    """The installed LiteLLM is a release known to be malicious."""

    code = "compromised_litellm"
    fix = "Uninstall it, rotate every credential that machine held, and install a tested release."


class AdminClosed(HostError):
    """The proxy runs without a master key, so the admin routes stay closed. Requests are not affected."""

    code = "admin_closed"
    fix = "Start the proxy with LITELLM_MASTER_KEY set to a long random value."


class RouterTaken(HostError):
    """A router of LiteLLM's SDK is measured and chosen for by us already."""

    code = "router_taken"
    fix = "Attach to a router once."


class TaskError(NeuronodeError):
    """A task of the task API cannot be used, or not so."""


class TemplatesInvalid(TaskError):
    """Task templates have problems; all of them are in `problems`."""

    code = "templates_invalid"
    fix = "Fix every problem listed; docs/tasks.md describes the file."

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("The task templates cannot be used: " + "; ".join(map(str, self.problems)))


class BadTaskInput(TaskError):
    """What a caller gave does not fit the task. The message names inputs and limits, never what they say."""

    code = "bad_task_input"
    fix = "Compare the request with docs/tasks.md."


class UnknownTemplate(TaskError):
    """No task template has this name."""

    code = "unknown_template"

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__("There is no template of this name.", fix=f"Use one of: {', '.join(sorted(known))}.")


class CompletionFailed(TaskError):
    """The chat request that a task made was answered with an error. Its text is not repeated: it can quote keys."""

    def __init__(
        self, code: str, message: str, *, fix: str, status: int = 0, retry_after: str | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.code = code
        self.status = status
        """What the chat request was answered with; 0 where there was no answer."""
        self.retry_after = retry_after
        """When to come back, as the answer's header said it."""


class ArtefactRefused(NeuronodeError):
    """Trained weights are missing, altered, or not what this version reads. Cues and lengths classify instead."""

    code = "artefact_refused"
    fix = "Reinstall the package, or retrain; until then prompts are classified without trained weights."


class HistoryUnavailable(NeuronodeError):
    """The classifier's history of decisions is off, or its file cannot be used. Requests are not affected."""

    code = "history_unavailable"
    fix = "Set NEURONODE_HISTORY=on, and see that the state directory can be written."


class UnknownCall(NeuronodeError):
    """No decision of this call id that the caller may judge is in the history."""

    code = "unknown_call"
    fix = (
        "Send the x-litellm-call-id of an answer to `auto`, with the key that asked, within NEURONODE_HISTORY_DAYS, "
        "to the host that answered."
    )


class SettingsError(NeuronodeError):
    """An environment variable or a flag cannot be used."""

    code = "bad_settings"
    fix = "Correct the setting named in the message; docs/operations.md lists all of them."
