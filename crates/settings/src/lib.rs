//! Loads settings: defaults, then `ery.toml`, then `ERY_…` variables, then flags.
//!
//! Each service owns its own table; this crate only loads them and says what is wrong.

mod invalid;
mod load;
mod values;

pub use invalid::{InvalidSetting, check};
pub use load::{Loaded, SettingsError, Sources, load};
pub use values::Values;
