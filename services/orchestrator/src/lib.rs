//! ery-orchestrator
