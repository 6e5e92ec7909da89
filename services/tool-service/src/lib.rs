//! ery-tool-service
