//! Config that fits a kind of community, to begin with.

use crate::{
    document::{Document, File, Subject},
    layer::Layer,
};

/// What a server can be set to at once.
#[derive(Debug)]
pub struct Preset {
    pub name: &'static str,
    text: &'static str,
}

pub const PRESETS: [Preset; 3] = [
    Preset { name: "quiet-helper", text: include_str!("../presets/quiet-helper.toml") },
    Preset { name: "strict-moderation", text: include_str!("../presets/strict-moderation.toml") },
    Preset { name: "busy-community", text: include_str!("../presets/busy-community.toml") },
];

/// Returns a preset by its name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

impl Preset {
    /// Returns what it sets for a server.
    ///
    /// # Panics
    ///
    /// Never: a test reads every preset.
    pub fn document(&self) -> Document {
        let mut read = File::read(self.text, Layer::Server).expect("every preset is sound");
        read.remove(&Subject::SERVER).unwrap_or_default()
    }

    /// Says what it is for, in a line.
    pub fn about(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_can_be_read_and_says_what_it_is_for() {
        for preset in &PRESETS {
            assert!(!preset.document().is_empty() && preset.about().ends_with('.'));
        }
    }
}
