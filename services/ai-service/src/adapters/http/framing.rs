use crate::adapters::ProviderError;

/// The longest event that is read: an answer's bound, and room for what a provider adds.
const LONGEST_EVENT: usize = 1024 * 1024;

/// How a stream is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events; a frame is an event's data.
    ServerSentEvents,
    /// A JSON object to a line.
    Lines,
}

/// Cuts a stream's bytes into frames, whatever their borders.
#[derive(Debug)]
pub(super) struct Frames {
    framing: Framing,
    /// Bytes after the last whole line.
    rest: Vec<u8>,
    /// Data of an event that has not ended.
    data: String,
}

impl Frames {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, rest: Vec::new(), data: String::new() }
    }

    /// Takes bytes, and returns the frames that they complete.
    ///
    /// # Errors
    ///
    /// [`ProviderError::TooLong`]: an event does not end. [`ProviderError::Nonsense`]: it is no text.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<String>, ProviderError> {
        let mut frames = Vec::new();
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = bytes.split_at(end);
            bytes = &after[1..];
            self.rest.extend_from_slice(line);
            let line = std::mem::take(&mut self.rest);
            self.line(&line, &mut frames)?;
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() + self.data.len() > LONGEST_EVENT {
            return Err(ProviderError::TooLong);
        }
        Ok(frames)
    }

    /// Returns what stands at the end of a stream without the line break that it should have.
    pub(super) fn end(mut self) -> Result<Vec<String>, ProviderError> {
        let mut frames = self.take(b"\n")?;
        if !self.data.is_empty() {
            frames.push(self.data);
        }
        Ok(frames)
    }

    fn line(&mut self, line: &[u8], frames: &mut Vec<String>) -> Result<(), ProviderError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| ProviderError::Nonsense)?;
        match self.framing {
            Framing::Lines if line.trim().is_empty() => {}
            Framing::Lines => frames.push(line.to_owned()),
            Framing::ServerSentEvents if line.is_empty() => {
                if !self.data.is_empty() {
                    frames.push(std::mem::take(&mut self.data));
                }
            }
            // Comments and the names of events say nothing that the data does not.
            Framing::ServerSentEvents => {
                if let Some(data) = line.strip_prefix("data:") {
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, text: &str, size: usize) -> Vec<String> {
        let mut frames = Frames::new(framing);
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            found.extend(frames.take(piece).unwrap());
        }
        found.extend(frames.end().unwrap());
        found
    }

    #[test]
    fn events_are_whole_wherever_the_bytes_are_cut() {
        let text = ": hi\n\nevent: a\r\ndata: {\"ü\":\r\ndata:1}\r\n\r\ndata: [DONE]\n\n";
        for size in 1..text.len() {
            let found = cut(Framing::ServerSentEvents, text, size);
            assert_eq!(found, ["{\"ü\":\n1}", "[DONE]"], "{size}");
        }
    }

    #[test]
    fn lines_are_whole_and_the_last_needs_no_end() {
        for size in 1..12 {
            assert_eq!(cut(Framing::Lines, "{\"ü\":1}\n\n{}", size), ["{\"ü\":1}", "{}"], "{size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_too_long() {
        let mut frames = Frames::new(Framing::ServerSentEvents);
        let piece = vec![b'x'; LONGEST_EVENT];
        assert_eq!(frames.take(&piece), Ok(Vec::new()));
        assert_eq!(frames.take(b"x"), Err(ProviderError::TooLong));
        let mut frames = Frames::new(Framing::Lines);
        assert_eq!(frames.take(b"\xff\n"), Err(ProviderError::Nonsense));
    }
}
