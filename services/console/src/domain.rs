//! What the console knows: tokens, and how fast a client may ask.

pub(crate) mod bucket;
pub(crate) mod token;
