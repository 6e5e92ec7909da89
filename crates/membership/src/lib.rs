//! ery-membership
