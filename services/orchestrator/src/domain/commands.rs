//! What people click and type: the commands that there are, and what is asked and answered by them.
//!
//! A new command is declared in [`list`], read in [`asked`], and carried out by a file of its own in
//! `handlers/interactions/`. What it says stands in `crates/texts/`, in every language.

pub(crate) mod asked;
pub(crate) mod case;
pub(crate) mod choosing;
pub(crate) mod config;
pub(crate) mod declared;
pub(crate) mod explain;
pub(crate) mod interaction;
pub(crate) mod list;
pub(crate) mod pages;
pub(crate) mod privacy;
pub(crate) mod reply;

/// What the ids of Ery's buttons, menus and forms begin with.
pub(crate) const OURS: &str = "ery.";
