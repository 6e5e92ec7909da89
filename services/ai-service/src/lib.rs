//! ery-ai-service
