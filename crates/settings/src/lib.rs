//! ery-settings
