"""All tables of ours, for SQLAlchemy Core: control state, audit log, workers, usage, proof.

It must not know how they are changed (migrations) or what is done with them. Names carry the prefix `neuronode_`,
because the database may be shared with LiteLLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData()

VERSION_TABLE = "neuronode_version"
"""Alembic's table: which migration the database has."""

HEAD_VERSION = "0016"
"""The newest migration. Kept here so that a start with an up-to-date database need not import Alembic."""

OLDEST_READER = "0016"
"""The oldest migration whose release can use a database that has `HEAD_VERSION`. It stays where a migration only adds
what an earlier release may leave out, and becomes `HEAD_VERSION` where one takes away or gives another meaning.
"""

reader = Table(
    "neuronode_reader",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("oldest", String(32), nullable=False),
)
"""One row, id 1: the `OLDEST_READER` of the release that migrated last."""

state = Table(
    "neuronode_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("active", String(64)),
    Column("digest", String(64), ForeignKey("neuronode_profile_set.digest")),
    Column("committed_at", Double),
    Column("head", String(64), nullable=False),
    Column("bindings", Text, nullable=False, server_default=""),
    Column("moved", Integer, nullable=False, server_default="0"),
    Column("canary", Text, nullable=False, server_default=""),
    Column("steering", Text, nullable=False, server_default=""),
)
"""One row, id 1, made by the migration with revision 0 ("nothing committed"), so that there is always a row to lock.

`head` is the hash of the newest audit row: it makes a truncated audit log visible.
"""

profile_set = Table(
    "neuronode_profile_set",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

audit = Table(
    "neuronode_audit",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("action", String(16), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("profile_before", String(64)),
    Column("profile_after", String(64), nullable=False),
    Column("digest_before", String(64)),
    Column("digest_after", String(64), nullable=False),
    Column("changes", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("bindings", Text, nullable=False, server_default=""),
    Column("canary", Text, nullable=False, server_default=""),
    Column("steering", Text, nullable=False, server_default=""),
)

audit_archive = Table(
    "neuronode_audit_archive",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""One row, id 1, once rows were archived: the newest of them, which the first row of the audit log follows."""

worker = Table(
    "neuronode_worker",
    metadata,
    Column("instance", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("mark", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("applied_at", Double),
    Column("refused", Integer),
    Column("detail", Text, nullable=False),
    Column("report", Text, nullable=False),
)
"""`revision` is what the worker serves; `refused` the newest revision it could not take up, with `detail` as reason."""

idempotency = Table(
    "neuronode_idempotency",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("actor", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("at", Double, nullable=False),
)

NAME_LENGTH = 128
"""Characters of a name that are kept in the tables of usage."""

USAGE_COUNTERS = (
    "requests",
    "fallbacks",
    "priced",
    "unpriced",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_nano",
    "output_nano",
    "images",
    "audio",
    "largest",
)
"""What is summed up in `neuronode_usage`."""

usage = Table(
    "neuronode_usage",
    metadata,
    Column("period", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(32), primary_key=True),
    Column("profile", String(NAME_LENGTH), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("task", String(NAME_LENGTH), nullable=False),
    Column("tier", String(NAME_LENGTH), nullable=False),
    Column("chosen_group", String(NAME_LENGTH), nullable=False),
    Column("served_group", String(NAME_LENGTH), nullable=False),
    Column("deployment", String(NAME_LENGTH), nullable=False),
    Column("team", String(NAME_LENGTH), nullable=False),
    Column("reason", String(NAME_LENGTH), nullable=False),
    Column("outcome", String(NAME_LENGTH), nullable=False),
    Column("arm", String(NAME_LENGTH), nullable=False, server_default=""),
    Column("location", String(NAME_LENGTH), nullable=False, server_default=""),
    *(Column(name, BigInteger, nullable=False) for name in USAGE_COUNTERS),
    Column("latency", Text, nullable=False),
    Column("first_token", Text, nullable=False),
    Column("cost", Text, nullable=False, server_default="{}"),
)
"""Sums of one key over `period` seconds from `start` (Unix time) on. `key` is a digest of the names that follow."""

usage_batch = Table(
    "neuronode_usage_batch",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
)
"""The last batch of each worker process. The row of worker "" is locked by whoever writes."""

usage_request = Table(
    "neuronode_usage_request",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("call_id", String(NAME_LENGTH), nullable=False),
    Column("at", Double, nullable=False),
    Column("document", Text, nullable=False),
    Index("neuronode_usage_request_call_id", "call_id"),
    Index("neuronode_usage_request_at", "at"),
)
"""Single requests of the last hour, for `explain`."""

proof = Table(
    "neuronode_proof",
    metadata,
    Column("group", String(256), primary_key=True),
    Column("shape", String(16), primary_key=True),
    Column("why", String(32), nullable=False),
    Column("checked_at", Double, nullable=False),
    Column("latency_ms", Double),
    Column("cost_usd", Double),
)
"""The newest evidence. Which profiles and tasks it speaks for is read from the profiles."""

proof_turn = Table(
    "neuronode_proof_turn",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("taken_at", Double, nullable=False),
)
"""One row, id 1: when a worker last took the turn to refresh. Whoever moves it on leads that refresh."""

outcome = Table(
    "neuronode_outcome",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("profile", String(64), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("tier", String(16), primary_key=True),
    Column("good", Integer, nullable=False),
    Column("bad", Integer, nullable=False),
    Column("expected", Double, nullable=False),
    Column("hint_good", Integer, nullable=False, server_default="0"),
    Column("hint_bad", Integer, nullable=False, server_default="0"),
    Column("hint_expected", Double, nullable=False, server_default="0"),
)
"""How requests of a kind turned out that a tier answered in the hour from `hour` (Unix time) on: by verdicts, and by
hints. `expected` is the sum of the chances that were given for their being good.
"""

outcome_reset = Table(
    "neuronode_outcome_reset",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("times", Integer, nullable=False),
)
"""One row, id 1, made by the migration: how often all outcomes were forgotten. What a worker heard before the last time
is not added any more.
"""

judged_day = Table(
    "neuronode_judged_day",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("nano", BigInteger, nullable=False),
    Column("enough", Integer, nullable=False),
    Column("short", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
)
"""What comparing light answers cost on a day (Unix time of its beginning, UTC), in 1e-9 US dollars, what comparisons
that run may still cost included; and how often the light answer would have done, fell short, or nobody could tell.
"""

diverted = Table(
    "neuronode_diverted",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("profile", String(64), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("step", String(16), primary_key=True),
    Column("instead", String(16), primary_key=True),
    Column("tier", String(16), primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("priced", Integer, nullable=False),
    Column("saved", Double, nullable=False),
    Column("squares", Double, nullable=False),
)
"""Requests that outcomes or a trial sent to `tier` and not to `instead`, answered in the hour from `hour` (Unix time)
on; what those with two known prices saved in US dollars, and the sum of the squares of that.
"""

rollout = Table(
    "neuronode_rollout",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("phase", String(16), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("since_revision", Integer, nullable=False),
    Column("held", Double, nullable=False),
    Column("watched_at", Double, nullable=False),
    Column("document", Text, nullable=False),
)
"""Rollouts. `document` is the whole of one, as `rollouts.course` writes it; the other columns go before it."""

rollout_event = Table(
    "neuronode_rollout_event",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("rollout", String(32), nullable=False),
    Column("act", String(16), nullable=False),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Index("neuronode_rollout_event_rollout", "rollout"),
)
"""What was done to rollouts: a row for each revision that did something. `evidence` is JSON: the
figures of both arms.
"""

rollout_outcome = Table(
    "neuronode_rollout_outcome",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("task", String(NAME_LENGTH), primary_key=True),
    Column("arm", String(16), primary_key=True),
    Column("outcome", String(32), primary_key=True),
    Column("count", BigInteger, nullable=False),
)
"""How answers of the rollout that runs turned out, as `rollouts.facts` names it; `revision` is that of the request."""

lease = Table(
    "neuronode_lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)
"""Who leads what, until when by the database's clock. `fence` grows whenever it passes to another."""

policy = Table(
    "neuronode_policy",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("document", Text, nullable=False),
    Column("revision", Integer, nullable=False),
)
"""Every policy that ever was in force, as canonical JSON, and the revision that first had it."""

policy_memory = Table(
    "neuronode_policy_memory",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)
"""One row, id 1: what the engine of rules must remember, as JSON by name of the rule."""

shadow = Table(
    "neuronode_shadow",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("why", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("budget_nano", BigInteger, nullable=False),
    Column("spent_nano", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
)
"""Comparisons of a profile with what clients get; at most one has no `ended_at`; `revision` is that of its beginning.
`spent_nano` is in 1e-9 US dollars, what requests that run may still cost included.
"""

shadow_batch = Table(
    "neuronode_shadow_batch",
    metadata,
    Column("shadow", String(32), primary_key=True),
    Column("worker", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)
"""The last batch of each worker that a comparison's sums hold: one that comes again is left out."""

shadow_sums = Table(
    "neuronode_shadow_sums",
    metadata,
    Column("shadow", String(32), primary_key=True),
    Column("profile", String(64), primary_key=True),
    Column("task", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)
"""What a comparison found out, by the profile that answered the clients, and by task. `document` is JSON that adds up.
"""

shadow_sample = Table(
    "neuronode_shadow_sample",
    metadata,
    Column("shadow", String(32), primary_key=True),
    Column("worker", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("document", Text, nullable=False),
)
"""Requests with both answers, only of comparisons that sample texts, and only the newest."""

version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num"),
)
"""As Alembic makes it, which keeps it: it is none of `metadata`."""

FIRST_ROWS: Sequence[tuple[Table, Mapping[str, object]]] = (
    (version, {"version_num": HEAD_VERSION}),
    (reader, {"id": 1, "oldest": OLDEST_READER}),
    (state, {"id": 1, "revision": 0, "head": ""}),
    (usage_batch, {"worker": "", "sequence": 0, "at": 0.0}),
    (proof_turn, {"id": 1, "taken_at": 0.0}),
    (policy_memory, {"id": 1, "document": "{}"}),
    (outcome_reset, {"id": 1, "times": 0}),
)
"""What the migrations write into an empty database: rows that are locked or added up, and must be there."""
