use std::{error::Error, fmt::Write as _, io::Write as _, process::ExitCode};

/// Why the process ends with an error: one line for people, and a code for whatever started it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

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

    /// Writes the line, and returns the code.
    pub(crate) fn report(&self) -> ExitCode {
        let line: String = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Where standard error is closed there is nobody to tell.
        drop(writeln!(std::io::stderr(), "ery: {line}"));
        ExitCode::from(self.code)
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
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not open the file")]
        struct Outer(#[source] io::Error);

        let error = Outer(io::Error::other("no such disk"));
        assert_eq!(chain(&error), "could not open the file: no such disk");
    }
}
