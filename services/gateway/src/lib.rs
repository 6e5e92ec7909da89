//! ery-gateway
