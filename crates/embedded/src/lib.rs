//! ery-embedded
