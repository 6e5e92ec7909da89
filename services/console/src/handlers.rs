//! What comes in: who asks, and what an MCP client asks for.

pub(crate) mod front;
mod mcp;
