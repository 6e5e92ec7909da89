//! ery-store
