"""The answers of the routes about worker processes, as the OpenAPI page shows them."""

from __future__ import annotations

from typing import Literal

from admin_api.http.schemas import Document
from neuronode_router.domain.receipts import WorkerStatus


class WorkersDocument(Document):
    """All worker processes that share the store."""

    revision: int
    """The committed revision: what every worker should serve."""
    converged: bool
    """Every live worker serves it."""
    workers: tuple[WorkerStatus, ...]


class ReadinessDocument(Document):
    """Whether the process that answered serves all that it should. Public: there is nothing secret in it."""

    status: Literal["ready", "not_ready"]
    served_revision: int
    """0: none yet."""
    problems: list[str]
    """Codes of what is wrong; the status, for those who may read it, says more."""
