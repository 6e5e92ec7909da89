//! ery-tests
