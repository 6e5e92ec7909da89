//! What goes out: Discord's REST and Gateway, through twilight.

mod identify_slots;
mod rest;

pub(crate) use identify_slots::IdentifySlots;
pub(crate) use rest::{GatewayInfo, Rest, gateway_url};
