"""The tools as a server of the Model Context Protocol, by its official SDK.

It must not know what a tool does, nor over which transport it is asked.
"""

from __future__ import annotations

import json
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from pydantic import ValidationError

from neuronode_router.agents.tool import AdminCall, AgentTool
from neuronode_router.agents.tools import offered
from neuronode_router.errors import NeuronodeError
from neuronode_router.version import VERSION

INSTRUCTIONS = (
    "neuronode decides which model group answers a task behind a LiteLLM proxy: the active profile maps tasks to"
    " groups. Money is in US dollars, null where nobody has set a price. `explain` takes a call id."
)


def agent_server(call: AdminCall, *, writes: bool) -> Server[Any]:
    """Return a server whose tools ask the admin API through `call`; with `writes` it offers those that change too."""
    tools = {tool.name: tool for tool in offered(writes=writes)}

    async def list_tools(
        context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[_described(tool) for tool in tools.values()])

    async def call_tool(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            return _failed(f"There is no tool of this name. There are {', '.join(tools)}.")
        return await _run(tool, call, params.arguments or {})

    return Server(
        "neuronode",
        version=VERSION,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _run(tool: AgentTool, call: AdminCall, given: dict[str, Any]) -> CallToolResult:
    try:
        found = dict(await tool.run(call, tool.arguments.model_validate(given)))
    except ValidationError as error:
        # Without what was given: it may be anything.
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        return _failed("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems))
    except NeuronodeError as error:
        return _failed(f"{error.message} {error.fix}".strip())
    text = TextContent(type="text", text=json.dumps(found))
    return CallToolResult(content=[text], structured_content=found)


def _described(tool: AgentTool) -> Tool:
    return Tool(
        name=tool.name,
        description=tool.about,
        input_schema=tool.arguments.model_json_schema(),
        annotations=ToolAnnotations(
            read_only_hint=not tool.writes, destructive_hint=False, open_world_hint=False
        ),
    )


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
