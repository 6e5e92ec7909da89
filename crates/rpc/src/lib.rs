//! ery-rpc
