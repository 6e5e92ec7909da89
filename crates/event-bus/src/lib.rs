//! ery-event-bus
