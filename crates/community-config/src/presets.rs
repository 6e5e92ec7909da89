//! Config that fits a kind of community, to begin with.

use std::collections::BTreeSet;

use serde_json::Value;

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

    /// Returns what it changes in a server where that is set which `server` says: what another preset
    /// set, and nobody changed since, goes.
    pub fn changes(&self, server: &Document) -> Vec<(String, Option<Value>)> {
        let own = self.document();
        let others = PRESETS.iter().filter(|other| other.name != self.name);
        let left: BTreeSet<String> = others
            .flat_map(Preset::document)
            .filter(|(path, value)| !own.contains_key(path) && server.get(path) == Some(value))
            .map(|(path, _)| path)
            .collect();
        let gone = left.into_iter().map(|path| (path, None));
        gone.chain(own.into_iter().map(|(path, value)| (path, Some(value)))).collect()
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
    fn a_preset_takes_the_place_of_another_and_leaves_what_people_set() {
        let mut server = Document::new();
        let apply = |name: &str, server: &mut Document| {
            for (path, value) in preset(name).unwrap().changes(server) {
                match value {
                    Some(value) => server.insert(path, value),
                    None => server.remove(&path),
                };
            }
        };
        apply("strict-moderation", &mut server);
        // By hand: one that no preset sets, and one that one sets to something else.
        server.insert("answers.language".to_owned(), "de".into());
        server.insert("tools.policy.send_dm".to_owned(), "ask".into());
        apply("quiet-helper", &mut server);
        apply("busy-community", &mut server);
        let mut expected = preset("busy-community").unwrap().document();
        expected.insert("answers.language".to_owned(), "de".into());
        expected.insert("tools.policy.send_dm".to_owned(), "ask".into());
        assert_eq!(server, expected);
    }

    #[test]
    fn every_preset_can_be_read_and_says_what_it_is_for() {
        for preset in &PRESETS {
            assert!(!preset.document().is_empty() && preset.about().ends_with('.'));
        }
    }
}
