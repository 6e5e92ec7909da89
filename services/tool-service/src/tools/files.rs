//! Text files beside a message.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    adapters::discord::{File, wire::RawAttachment},
    domain::output::Filter,
    resolve::Problem,
};

/// The endings of names that programs show as text, and do not run at a double click.
const ENDINGS: [&str; 18] = [
    "txt", "md", "csv", "tsv", "json", "toml", "yaml", "yml", "xml", "log", "diff", "rs", "go",
    "c", "cpp", "java", "sql", "ts",
];

/// A text to be read or kept as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TextFile {
    /// Its name: letters, digits, `-` and `_`, and an ending of a text, such as `list.csv`.
    #[schemars(length(min = 3, max = 100))]
    name: String,
    /// What it holds.
    #[schemars(length(min = 1, max = 20_000))]
    text: String,
}

/// Makes files harmless: their texts as whatever else is said, their names as Discord keeps them.
pub(super) fn filtered(
    mut files: Vec<TextFile>,
    filter: &Filter,
) -> Result<Vec<TextFile>, Problem> {
    for file in &mut files {
        if !is_plain(&file.name) || filter.filtered(&file.name).content != file.name {
            return Err(Problem::unclear(format!(
                "A file's name has letters, digits, “-” and “_”, and one of these endings: {}.",
                ENDINGS.join(", ")
            )));
        }
        file.text = filter.filtered(&file.text).content;
        if file.text.trim().is_empty() {
            return Err(Problem::unclear("A file is empty."));
        }
    }
    for (index, file) in files.iter().enumerate() {
        if files[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&file.name)) {
            return Err(Problem::unclear("Two files have the same name."));
        }
    }
    Ok(files)
}

fn is_plain(name: &str) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !stem.is_empty()
        && stem.bytes().all(is_allowed)
        && ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
}

impl TextFile {
    pub(super) fn as_sent(&self) -> File<'_> {
        File { name: &self.name, bytes: self.text.as_bytes() }
    }

    /// Whether Discord shows this one.
    pub(super) fn is(&self, shown: &RawAttachment) -> bool {
        shown.filename == self.name && usize::try_from(shown.size) == Ok(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, text: &str) -> Result<Vec<TextFile>, Problem> {
        filtered(vec![TextFile { name: name.into(), text: text.into() }], &Filter::default())
    }

    #[test]
    fn a_name_carries_nothing_out() {
        for name in ["sk-CANARYCANARYCANARYCANARY.txt", "AKIAABCDEFGHIJKLMNOP.txt"] {
            assert!(checked(name, "a").is_err(), "{name}");
        }
    }

    #[test]
    fn only_texts_with_plain_names_are_sent() {
        for name in ["list.csv", "a-b_C9.TXT", "x.rs"] {
            assert_eq!(checked(name, "a").unwrap()[0].name, name);
        }
        for name in
            ["list", ".txt", "a.exe", "a.html", "a.bat", "a.txt.js", "a b.txt", "../a.txt", "ä.txt"]
        {
            assert!(checked(name, "a").is_err(), "{name}");
        }
        assert!(checked("a.txt", "\u{200b} \n").is_err());
        let two = ["a.txt", "A.txt"].map(|name| TextFile { name: name.into(), text: "x".into() });
        assert!(filtered(two.into(), &Filter::default()).is_err());
    }
}
