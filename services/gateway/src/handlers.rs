//! What comes in: the frames of Discord's Gateway.

mod frame;

pub(crate) use frame::{Dispatch, Frame, Ready};
