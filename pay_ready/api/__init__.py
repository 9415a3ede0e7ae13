"""The questions of the agent, for programs: an MCP server."""
