//! ery-cluster
