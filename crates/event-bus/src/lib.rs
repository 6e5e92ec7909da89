//! Events published and handled durably, broadcasts, and resume points: the port.
//!
//! The adapters are in `ery-embedded` and `ery-cluster`; [`testing`] says what both promise.

mod hear;
mod port;
pub mod testing;

pub use hear::hear;
pub use port::{
    Acker, BusError, Event, EventBus, EventDeliveries, EventDelivery, Followed, FollowedEvents,
    GatewayShard, Left, ResumePoint, Topic,
};
