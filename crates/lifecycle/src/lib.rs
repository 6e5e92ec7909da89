//! ery-lifecycle
