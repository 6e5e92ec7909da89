//! ery-telemetry
