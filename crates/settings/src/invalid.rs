use std::fmt;

/// A setting outside its bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}; it must be {bound}")]
pub struct InvalidSetting {
    /// The whole key, `orchestrator.lease_ttl`.
    pub key: &'static str,
    pub value: String,
    /// What it may be, with the reason where it is not plain.
    pub bound: &'static str,
}

/// Refuses a setting unless `holds`.
///
/// # Errors
///
/// Names key, value and bound.
pub fn check(
    holds: bool,
    key: &'static str,
    value: impl fmt::Debug,
    bound: &'static str,
) -> Result<(), InvalidSetting> {
    if holds { Ok(()) } else { Err(InvalidSetting { key, value: format!("{value:?}"), bound }) }
}
