//! What members posted beside their words, and a model is shown of it: pictures, and texts of files.
//!
//! Only what belongs to the messages that are answered, and to those that they reply to. It lies at
//! Discord; the ai-service fetches it.

use std::sync::LazyLock;

use twilight_model::id::{Id, marker::MessageMarker};

use crate::domain::{
    message::{Attachment, Message},
    text,
};

/// How many pictures are shown, and how large one may be.
const MOST_PICTURES: usize = 4;
const LARGEST_PICTURE: u64 = 4 * 1024 * 1024;

/// What a picture costs at the most, by the providers' own bounds.
const PICTURE_TOKENS: u64 = 1_700;

/// How many files are shown, how much of each, and of all together.
const MOST_FILES: usize = 4;
const BYTES_OF_FILE: u64 = 16 * 1024;
const BYTES_OF_FILES: u64 = 32 * 1024;

/// How many bytes of a file count as one token at the least: code and tables need more tokens than
/// speech.
const BYTES_PER_TOKEN: u64 = 2;

/// What a file costs beside its text.
const FRAME_TOKENS: u64 = 32;

/// What part of a request's tokens files may take.
const SHARE: u64 = 4;

/// What the model is shown beside words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) pictures: bool,
    pub(crate) text_files: bool,
}

/// A picture of a message, by where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) message: Id<MessageMarker>,
    pub(crate) media_type: String,
    pub(crate) url: String,
}

/// A file of a message whose text is shown, by where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextFile {
    pub(crate) message: Id<MessageMarker>,
    pub(crate) filename: String,
    pub(crate) url: String,
    /// As much of its beginning as is shown.
    pub(crate) max_bytes: u32,
}

/// What a request shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attachments {
    pub(crate) pictures: Vec<Picture>,
    pub(crate) files: Vec<TextFile>,
    /// How many are not shown because there are too many, or because they are too large.
    pub(crate) left_out: usize,
}

impl Attachments {
    /// Chooses what is shown of the messages to be answered and of what they reply to: the newest, if
    /// there is more than is shown. A request of `max_tokens` has room for its files.
    pub(crate) fn of<'a>(
        shown: Shown,
        triggers: impl Iterator<Item = &'a Message>,
        history: &[&'a Message],
        max_tokens: u64,
    ) -> Self {
        let attachments: Vec<_> = attachments(triggers, history).collect();
        let mut chosen = Self::default();
        if shown.pictures {
            let seen = attachments.iter().filter(|(_, file)| is_picture(file));
            chosen.left_out += seen.clone().count();
            let pictures = seen.filter_map(|(id, file)| picture(*id, file));
            chosen.pictures = newest(pictures.collect(), MOST_PICTURES);
        }
        if shown.text_files {
            let files: Vec<_> = attachments.iter().filter(|(_, file)| is_text(file)).collect();
            chosen.left_out += files.iter().filter(|(_, file)| file.size_bytes > 0).count();
            let room = BYTES_OF_FILES.min(max_tokens / SHARE * BYTES_PER_TOKEN);
            chosen.files = within(room, &newest(files, MOST_FILES));
        }
        chosen.left_out -= chosen.pictures.len() + chosen.files.len();
        chosen
    }

    /// Returns a bound for how many tokens they are.
    pub(crate) fn tokens(&self) -> u64 {
        let pictures = u64::try_from(self.pictures.len()).unwrap_or(u64::MAX);
        let file = |file: &TextFile| {
            let text = u64::from(file.max_bytes).div_ceil(BYTES_PER_TOKEN);
            FRAME_TOKENS + text + text::tokens(&file.filename)
        };
        PICTURE_TOKENS * pictures + self.files.iter().map(file).sum::<u64>()
    }
}

/// Returns whether a request would show any.
pub(crate) fn are_shown<'a>(
    shown: Shown,
    triggers: impl Iterator<Item = &'a Message>,
    history: &'a [Message],
) -> bool {
    let history: Vec<_> = history.iter().collect();
    let chosen = Attachments::of(shown, triggers, &history, u64::MAX);
    !(chosen.pictures.is_empty() && chosen.files.is_empty())
}

/// Returns the attachments of what is replied to and of what is answered, in this order.
fn attachments<'a>(
    triggers: impl Iterator<Item = &'a Message>,
    history: &[&'a Message],
) -> impl Iterator<Item = (Id<MessageMarker>, &'a Attachment)> {
    let mut messages: Vec<&Message> = Vec::new();
    for trigger in triggers {
        let replied_to = history.iter().copied().filter(|it| Some(it.id) == trigger.reply_to);
        for message in replied_to.chain([trigger]) {
            if !messages.iter().any(|it| it.id == message.id) {
                messages.push(message);
            }
        }
    }
    messages.into_iter().flat_map(|message| {
        let can_be_had = message.attachments.iter().filter(|file| !file.url.is_empty());
        can_be_had.map(|file| (message.id, file))
    })
}

fn newest<T>(mut all: Vec<T>, most: usize) -> Vec<T> {
    all.drain(..all.len().saturating_sub(most));
    all
}

/// Returns whether a file says that it is a picture of a kind that models see.
fn is_picture(file: &Attachment) -> bool {
    matches!(media_type(file), "image/png" | "image/jpeg" | "image/gif" | "image/webp")
}

fn picture(message: Id<MessageMarker>, file: &Attachment) -> Option<Picture> {
    (file.size_bytes <= LARGEST_PICTURE).then(|| Picture {
        message,
        media_type: media_type(file).to_owned(),
        url: file.url.clone(),
    })
}

/// Shares `room` bytes out, to the newest first.
fn within(room: u64, files: &[&(Id<MessageMarker>, &Attachment)]) -> Vec<TextFile> {
    let mut room = room;
    let mut shown: Vec<TextFile> = Vec::new();
    for (message, file) in files.iter().rev() {
        let bytes = file.size_bytes.min(BYTES_OF_FILE).min(room);
        room -= bytes;
        if let Some(max_bytes) = u32::try_from(bytes).ok().filter(|&bytes| bytes > 0) {
            let filename = text::clean(&file.filename);
            shown.push(TextFile { message: *message, filename, url: file.url.clone(), max_bytes });
        }
    }
    shown.reverse();
    shown
}

fn media_type(file: &Attachment) -> &str {
    file.content_type.split(';').next().unwrap_or_default().trim()
}

/// Returns whether a file says that it holds text. Whether it does, its bytes tell.
fn is_text(file: &Attachment) -> bool {
    /// Text although its type does not begin with `text/`.
    const TYPES: [&str; 9] = [
        "application/json",
        "application/javascript",
        "application/sql",
        "application/toml",
        "application/typescript",
        "application/x-httpd-php",
        "application/x-sh",
        "application/xml",
        "application/yaml",
    ];
    /// Where Discord tells no type.
    static ENDINGS: LazyLock<Vec<&str>> = LazyLock::new(|| {
        "txt md rst log csv tsv json jsonl toml yaml yml ini cfg conf properties diff patch \
         c h cc cpp hpp cs css go hs html java js jsx kt lua php pl py rb rs sh sql swift tex ts tsx xml"
            .split_whitespace()
            .collect()
    });
    match media_type(file) {
        "" | "application/octet-stream" => {
            let ending = file.filename.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
            ending.is_some_and(|ending| ENDINGS.contains(&&*ending))
        }
        media_type => media_type.starts_with("text/") || TYPES.contains(&media_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::{ANN, BEN, message};

    const ALL: Shown = Shown { pictures: true, text_files: true };

    fn file(name: &str, content_type: &str, size_bytes: u64) -> Attachment {
        Attachment {
            filename: name.into(),
            content_type: content_type.into(),
            size_bytes,
            url: format!("https://cdn.discordapp.com/attachments/1/2/{name}"),
        }
    }

    /// A question about a message, and another message that is not meant.
    fn asked(with: Vec<Attachment>, about: Vec<Attachment>) -> (Message, [Message; 2]) {
        let mut shown = message(3, BEN, "look");
        shown.attachments = about;
        let mut other = message(4, BEN, "not meant");
        other.attachments = vec![file("c.png", "image/png", 10), file("c.txt", "text/plain", 10)];
        let mut asked = message(9, ANN, "ery, what is this?");
        asked.reply_to = Some(shown.id);
        asked.attachments = with;
        (asked, [shown, other])
    }

    #[test]
    fn what_is_answered_and_what_it_replies_to_are_shown() {
        let (asked, history) = asked(
            vec![
                file("d.jpg", "image/jpeg; charset=binary", 10),
                file("large.png", "image/png", LARGEST_PICTURE + 1),
                file("message.txt", "text/plain; charset=utf-8", 3_000),
            ],
            vec![
                file("a.png", "image/png", 10),
                file("b.pdf", "application/pdf", 10),
                file("e.rs", "", 20_000_000),
            ],
        );
        let chosen = Attachments::of(ALL, [&asked].into_iter(), &history.each_ref(), 100_000);
        let pictures: Vec<_> =
            chosen.pictures.iter().map(|it| (it.message.get(), &*it.media_type)).collect();
        assert_eq!(pictures, [(3, "image/png"), (9, "image/jpeg")]);
        let files: Vec<_> =
            chosen.files.iter().map(|it| (it.message.get(), &*it.filename, it.max_bytes)).collect();
        assert_eq!(files, [(3, "e.rs", 16 * 1024), (9, "message.txt", 3_000)]);
        assert_eq!(chosen.left_out, 1, "the large picture");
        assert!(chosen.tokens() >= 2 * PICTURE_TOKENS + 8 * 1024 + 1_500);
        assert!(are_shown(ALL, [&asked].into_iter(), &history));
        let none = Shown::default();
        assert!(!are_shown(none, [&asked].into_iter(), &history));
        assert_eq!(
            Attachments::of(none, [&asked].into_iter(), &history.each_ref(), 100_000).tokens(),
            0
        );
    }

    #[test]
    fn files_take_no_more_than_their_share() {
        let large = |name: &str| file(name, "text/plain", 1_000_000);
        let (asked, history) = asked(
            vec![large("1.txt"), large("2.txt"), large("3.txt"), large("4.txt"), large("5.txt")],
            Vec::new(),
        );
        let names = |max_tokens: u64| -> Vec<_> {
            let chosen =
                Attachments::of(ALL, [&asked].into_iter(), &history.each_ref(), max_tokens);
            assert_eq!(chosen.left_out, 5 - chosen.files.len());
            chosen.files.into_iter().map(|it| (it.filename, it.max_bytes)).collect()
        };
        let whole = 16 * 1024;
        assert_eq!(names(100_000), [("4.txt".to_owned(), whole), ("5.txt".to_owned(), whole)]);
        assert_eq!(names(8_000), [("5.txt".to_owned(), 4_000)]);
        assert_eq!(names(0), []);
    }

    #[test]
    fn a_message_that_is_answered_and_replied_to_is_shown_once() {
        let (mut second, _) = asked(Vec::new(), Vec::new());
        let mut first = message(8, ANN, "this one");
        first.attachments = vec![file("a.txt", "text/plain", 10)];
        second.reply_to = Some(first.id);
        let history = [first.clone()];
        let chosen =
            Attachments::of(ALL, [&first, &second].into_iter(), &history.each_ref(), 100_000);
        assert_eq!(chosen.files.len(), 1);
    }

    #[test]
    fn texts_are_told_by_their_types_or_names() {
        for (name, content_type) in [
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.bin", "text/x-whatever"),
            ("a", "application/json"),
            ("A.LOG", ""),
            ("a.rs", "application/octet-stream"),
        ] {
            assert!(is_text(&file(name, content_type, 1)), "{name} {content_type}");
        }
        for (name, content_type) in
            [("a.zip", "application/zip"), ("a", ""), ("a.exe", ""), ("a.txt", "image/png")]
        {
            assert!(!is_text(&file(name, content_type, 1)), "{name} {content_type}");
        }
    }
}
