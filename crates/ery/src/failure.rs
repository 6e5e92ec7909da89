use std::{error::Error, fmt::Write as _, io::Write as _, process::ExitCode};

use serde_json::json;

/// Why the process ends with an error: one line for people, and a code for whatever started it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

/// Who is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Person,
    /// One that asked for JSON.
    Program,
}

/// As the command line's own parser ends.
const USAGE: u8 = 2;
/// Source: sysexits.h. What does not run, because something else does not.
const UNAVAILABLE: u8 = 69;
/// A failure of our own.
const SOFTWARE: u8 = 70;
/// Wrong settings: starting again without a change is of no use.
const CONFIG: u8 = 78;

impl Failure {
    /// Wrong settings; `text` says what to do.
    pub(crate) fn settings(text: impl Into<String>) -> Self {
        Self { code: CONFIG, text: text.into() }
    }

    /// Something that is needed cannot be reached, or is taken; `text` says what to do.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self { code: UNAVAILABLE, text: text.into() }
    }

    /// A bug, or a task that failed.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self { code: SOFTWARE, text: text.into() }
    }

    /// A failure of our own, with what caused it.
    pub(crate) fn caused(text: &str, error: &dyn Error) -> Self {
        Self::internal(format!("{text}: {}", chain(error)))
    }

    /// Returns what it says.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A command line that is none.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }

    /// Writes the line, and returns the code.
    pub(crate) fn report(&self, told: Told) -> ExitCode {
        let line = self.line();
        let line = match told {
            Told::Person => format!("ery: {line}"),
            Told::Program => self.json(&line),
        };
        // Where standard error is closed there is nobody to tell.
        drop(writeln!(std::io::stderr(), "{line}"));
        ExitCode::from(self.code)
    }

    /// Returns the text on one line, on which nothing moves a terminal's cursor.
    fn line(&self) -> String {
        let line = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = |it: char| -> String {
            if it.is_control() { it.escape_unicode().to_string() } else { it.to_string() }
        };
        line.chars().map(shown).collect()
    }

    /// Returns what a program reads; the shape stays as it is.
    fn json(&self, line: &str) -> String {
        let kind = match self.code {
            USAGE => "usage",
            UNAVAILABLE => "unavailable",
            CONFIG => "invalid",
            _ => "failed",
        };
        let error = json!({ "kind": kind, "exit_code": self.code, "message": line });
        json!({ "error": error }).to_string()
    }
}

/// Joins an error's message with those of its causes, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            write!(text, ": {message}").expect("writing to a string cannot fail");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_program_is_told_in_one_shape_and_nothing_moves_a_cursor() {
        let failure = Failure::settings("two\nlines \u{1b}[2J");
        assert_eq!(failure.line(), "two lines \\u{1b}[2J");
        let told: serde_json::Value = serde_json::from_str(&failure.json(&failure.line())).unwrap();
        let error = json!({
            "kind": "invalid", "exit_code": 78, "message": "two lines \\u{1b}[2J",
        });
        assert_eq!(told, json!({ "error": error }));
        for (failure, kind) in [
            (Failure::usage("x"), "usage"),
            (Failure::unavailable("x"), "unavailable"),
            (Failure::internal("x"), "failed"),
        ] {
            assert!(failure.json("x").contains(kind), "{failure:?}");
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not open the file")]
        struct Outer(#[source] io::Error);

        let error = Outer(io::Error::other("no such disk"));
        assert_eq!(chain(&error), "could not open the file: no such disk");
    }
}
