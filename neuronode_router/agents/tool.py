"""What a tool is: its name, what an agent is told about it, its arguments, and what it asks of the admin API.

It must not know any single tool.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

Document = Mapping[str, Any]


class AdminCall(Protocol):
    """One request to the admin API. Raises `NeuronodeError` for whatever is refused or does not answer."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object = None,
    ) -> Document:
        """Return the document that a route answers with. Parameters that are None are left out."""
        ...


Hours = Annotated[float, Field(gt=0, le=87_600, description="How many hours back from now.")]
ProfileName = Annotated[str, Field(min_length=1, max_length=64, description="The name of a profile.")]
Reason = Annotated[str, Field(max_length=500, description="Why, for the audit log.")]


class ToolArguments(BaseModel):
    """What a tool is called with; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class NoArguments(ToolArguments):
    """Nothing."""


@dataclass(frozen=True, slots=True)
class AgentTool:
    """One tool."""

    name: str
    about: str
    arguments: type[ToolArguments]
    run: Callable[[AdminCall, Any], Awaitable[Document]]
    writes: bool = False
