//! ery-proto
