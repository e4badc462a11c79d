"""Policies in SQL: every one that was in force by its digest, and what the rules of the present one remember.

It must not know when a rule begins. Methods block and may raise `StoreUnavailable`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict

from sqlalchemy import Connection, insert, select, update

from neuronode_router.domain.audit import AuditEntry
from neuronode_router.errors import PolicyUnreadable, RevisionConflict
from neuronode_router.policy.document import Policy
from neuronode_router.policy.file import stored_policy
from neuronode_router.policy.rules import RuleMemory
from neuronode_router.storage.database import Database
from neuronode_router.storage.lease import Fence, require
from neuronode_router.storage.tables import policy as policies
from neuronode_router.storage.tables import policy_memory, state

_LOCKED = select(state.c.revision).with_for_update()

SHORT_DIGEST = 12
"""Characters of a digest that tell policies apart for people."""


class PolicyStore:
    """The tables of policies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def time(self, clock: Callable[[], float]) -> float:
        """Return Unix time by the clock that all hosts share, else by `clock`."""
        return self._database.time(clock)

    def read(self, digest: str) -> Policy:
        """Return the policy with this digest. Raises `PolicyUnreadable`."""
        if not digest:
            return Policy()
        wanted = select(policies.c.document).where(policies.c.digest == digest)
        with self._database.reading() as connection:
            document = connection.execute(wanted).scalar()
        policy, problems = stored_policy(json.loads(document or "null"))
        if policy is None:
            raise PolicyUnreadable(f"The policy {digest[:SHORT_DIGEST]} cannot be read here: {problems[0]}")
        return policy

    def since(self, digest: str) -> int | None:
        """Return the revision that first had this policy; None where none did."""
        with self._database.reading() as connection:
            found: int | None = connection.execute(
                select(policies.c.revision).where(policies.c.digest == digest)
            ).scalar()
        return found

    def add(
        self, connection: Connection, policy: Policy, entry: AuditEntry, *, unchanged: Collection[str]
    ) -> None:
        """Keep a policy, in the transaction of the revision that puts it in force.

        Rules that are not `unchanged` remember nothing of what was called so before.
        """
        memory = json.loads(connection.execute(select(policy_memory.c.document)).scalar_one())
        kept = {name: fields for name, fields in memory.items() if name in unchanged}
        connection.execute(update(policy_memory).values(document=json.dumps(kept, sort_keys=True)))
        known = select(policies.c.digest).where(policies.c.digest == policy.digest)
        if policy.digest and connection.execute(known).first() is None:
            row = {"digest": policy.digest, "document": policy.source, "revision": entry.revision}
            connection.execute(insert(policies), row)

    def memory(self) -> dict[str, RuleMemory]:
        """Return what rules remember."""
        with self._database.reading() as connection:
            text = connection.execute(select(policy_memory.c.document)).scalar_one()
        told: Mapping[str, dict[str, object]] = json.loads(text)
        return {
            name: RuleMemory(**{**fields, "changes": tuple(fields["changes"])})  # type: ignore[arg-type]  # as kept
            for name, fields in told.items()
        }

    def keep(self, connection: Connection, memory: Mapping[str, RuleMemory], fence: Fence) -> None:
        """Keep what rules remember. Raises `LeaseLost` when another leads now: then nothing is kept."""
        require(connection, fence)
        document = json.dumps({name: asdict(one) for name, one in memory.items()}, sort_keys=True)
        connection.execute(update(policy_memory).values(document=document))

    def remember(self, memory: Mapping[str, RuleMemory], fence: Fence, *, revision: int) -> None:
        """Keep what rules remember, by itself. Raises `LeaseLost`.

        Raises `RevisionConflict` where `revision`, which was looked at, is not the current one: of another policy's
        rules nothing may be remembered that was seen of their namesakes.
        """
        with self._database.writing(durable=False) as connection:
            current = connection.execute(_LOCKED).scalar_one()  # before the lease, as every commit does
            if current != revision:
                raise RevisionConflict(expected=revision, actual=current)
            self.keep(connection, memory, fence)
