"""Drives an MCP server with the official SDK for Python, unmodified, as any client of the field would.

    mcp_client.py URL TOKEN MODE

MODE is `legacy` (a session, by `initialize`) or `auto` (the newest revision that both speak). Reads a
JSON array of calls, `{"tool", "arguments"}`, from standard input, makes them one after the other, and
writes one JSON object: what the server says of itself, its tools, and each call's result.
"""

import asyncio
import json
import sys

from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


async def called(client: Client, call: dict) -> dict:
    try:
        result = await client.call_tool(call["tool"], call["arguments"])
    except MCPError as error:
        return {"protocol_error": error.error.code, "message": error.error.message}
    texts = [block.text for block in result.content if block.type == "text"]
    return {"is_error": bool(result.is_error), "text": "\n".join(texts)}


async def main() -> None:
    url, token, mode = sys.argv[1:4]
    calls = json.load(sys.stdin)
    http = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
    async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        tools = (await client.list_tools()).tools
        told = {
            "protocol": client.protocol_version,
            "server": client.server_info.name,
            "instructions": client.instructions,
            "tools": [
                {"name": tool.name, "description": tool.description, "schema": tool.input_schema}
                for tool in tools
            ],
            "results": [await called(client, call) for call in calls],
        }
    json.dump(told, sys.stdout)


asyncio.run(main())
