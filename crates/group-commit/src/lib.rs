//! ery-group-commit
