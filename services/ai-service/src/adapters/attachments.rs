//! Fetches what members posted beside their words: pictures for models that see, and texts of files.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use reqwest::{Response, Url, redirect};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    domain::conversation::{Image, TextFile, Turn, TurnRequest},
    error::AiError,
};

/// The largest picture that is fetched: providers take 5 MB, as base64 or not.
const LARGEST_PICTURE: usize = 4 * 1024 * 1024;

/// As much of a file's text as is read, whatever the caller allows.
const LONGEST_TEXT: usize = 64 * 1024;

/// How many pictures, and how many files, one turn shows.
const MOST: usize = 4;

/// How long all that a turn shows may take. Without it the turn is asked all the same.
const WITHIN: Duration = Duration::from_secs(5);

/// Fetches from Discord's own hosts for files, and from nowhere else.
#[derive(Clone)]
pub(crate) struct Attachments {
    web: reqwest::Client,
    hosts: Vec<String>,
}

/// Which of them the model is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) pictures: bool,
    pub(crate) text_files: bool,
}

enum Attachment {
    Image(Image),
    File(TextFile),
}

impl fmt::Debug for Attachments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Attachments").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Attachments {
    pub(crate) fn new(hosts: &[String]) -> Result<Self, AiError> {
        super::http::install_crypto();
        let web = reqwest::Client::builder()
            .connect_timeout(WITHIN)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("ery/", env!("CARGO_PKG_VERSION")));
        Ok(Self { web: web.build().map_err(AiError::Client)?, hosts: hosts.to_vec() })
    }

    /// Fetches what a turn only names. What cannot be had is left out, and the model is told.
    pub(crate) async fn fetch(&self, request: &mut TurnRequest, shown: Shown) {
        let named = taken(&mut request.turns, shown);
        let count = |attachments: &mut dyn Iterator<Item = &Attachment>| {
            attachments.fold((0, 0), |(pictures, files), attachment| match attachment {
                Attachment::Image(_) => (pictures + 1, files),
                Attachment::File(_) => (pictures, files + 1),
            })
        };
        let (pictures, files) = count(&mut named.iter().map(|(_, attachment)| attachment));
        let had = self.all(few_of_each(named)).await;
        let (pictures_had, files_had) = count(&mut had.iter().map(|(_, attachment)| attachment));
        for (turn, attachment) in had {
            match (request.turns.get_mut(turn), attachment) {
                (Some(Turn::Images(images)), Attachment::Image(image)) => images.push(image),
                (Some(Turn::Files(files)), Attachment::File(file)) => files.push(file),
                _ => {}
            }
        }
        request.turns.retain(|turn| match turn {
            Turn::Images(images) => !images.is_empty(),
            Turn::Files(files) => !files.is_empty(),
            _ => true,
        });
        for (missing, what) in
            [(pictures - pictures_had, "pictures"), (files - files_had, "text files")]
        {
            if missing > 0 {
                request.turns.push(Turn::Note(format!(
                    "{missing} {what} of the messages to be answered cannot be shown to you."
                )));
            }
        }
    }

    /// Fetches all at once. Whatever has not come in time is left out.
    async fn all(&self, named: Vec<(usize, Attachment)>) -> Vec<(usize, Attachment)> {
        let fetching = stream::iter(named).map(|(turn, attachment)| async move {
            let attachment = match attachment {
                Attachment::Image(image) => Attachment::Image(self.picture(image).await?),
                Attachment::File(file) => Attachment::File(self.text_file(file).await?),
            };
            Some((turn, attachment))
        });
        let mut fetching = std::pin::pin!(fetching.buffered(2 * MOST));
        let mut had = Vec::new();
        let collecting = async {
            while let Some(next) = fetching.next().await {
                had.extend(next);
            }
        };
        drop(tokio::time::timeout(WITHIN, collecting).await);
        had
    }

    async fn picture(&self, image: Image) -> Option<Image> {
        if !image.data.is_empty() {
            return Some(image);
        }
        let (data, is_whole) = self.read(&image.url, LARGEST_PICTURE).await?;
        let media_type = kind_of(&data).filter(|_| is_whole)?.to_owned();
        Some(Image { media_type, data, ..image })
    }

    async fn text_file(&self, file: TextFile) -> Option<TextFile> {
        let (data, is_whole) = self.read(&file.url, file.max_bytes.min(LONGEST_TEXT)).await?;
        let text = text_of(&data, is_whole)?.to_owned();
        Some(TextFile { text, is_cut: !is_whole, ..file })
    }

    /// Reads the first `most` bytes that lie at an address, and tells whether they are all.
    async fn read(&self, url: &str, most: usize) -> Option<(Bytes, bool)> {
        let url = Url::parse(url).ok().filter(|url| self.may_be_fetched(url))?;
        // Nothing may log where members' files lie.
        let reading = async {
            let response = self.web.get(url).send().await.ok()?;
            beginning(response, most).await
        };
        reading.with_subscriber(NoSubscriber::default()).await
    }

    /// Whether an address is one of Discord's for files. What members write never becomes one: but a
    /// wrong one must not lead into the operator's own network.
    fn may_be_fetched(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let is_safe = match url.scheme() {
            "https" => url.port().is_none(),
            // A simulated Discord.
            "http" => matches!(host, "127.0.0.1" | "localhost" | "[::1]"),
            _ => false,
        };
        let has_login = !url.username().is_empty() || url.password().is_some();
        is_safe && !has_login && self.hosts.iter().any(|known| known == host)
    }
}

async fn beginning(mut response: Response, most: usize) -> Option<(Bytes, bool)> {
    if !response.status().is_success() {
        return None;
    }
    let mut data = BytesMut::new();
    while let Some(bytes) = response.chunk().await.ok()? {
        let room = most - data.len();
        if bytes.len() > room {
            data.extend_from_slice(&bytes[..room]);
            return Some((data.freeze(), false));
        }
        data.extend_from_slice(&bytes);
    }
    Some((data.freeze(), true))
}

/// Takes from a conversation what it only names, and what the model is not given.
fn taken(turns: &mut [Turn], shown: Shown) -> Vec<(usize, Attachment)> {
    let of_turn = |(index, turn): (usize, &mut Turn)| {
        let attachments: Vec<Attachment> = match turn {
            Turn::Images(images) => {
                let images = std::mem::take(images).into_iter().filter(|_| shown.pictures);
                images.map(Attachment::Image).collect()
            }
            Turn::Files(files) => {
                let files = std::mem::take(files).into_iter().filter(|_| shown.text_files);
                files.map(Attachment::File).collect()
            }
            _ => Vec::new(),
        };
        attachments.into_iter().map(move |attachment| (index, attachment))
    };
    turns.iter_mut().enumerate().flat_map(of_turn).collect()
}

fn few_of_each(named: Vec<(usize, Attachment)>) -> Vec<(usize, Attachment)> {
    let (mut pictures, mut files) = (MOST, MOST);
    let is_among = |(_, attachment): &(usize, Attachment)| {
        let room = match attachment {
            Attachment::Image(_) => &mut pictures,
            Attachment::File(_) => &mut files,
        };
        let is_among = *room > 0;
        *room = room.saturating_sub(1);
        is_among
    };
    named.into_iter().filter(is_among).collect()
}

/// Reads a file as text, if it is one; what was cut in the midst of a character ends before it.
fn text_of(data: &[u8], is_whole: bool) -> Option<&str> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    let text = match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&data[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// Tells what a picture is by how it begins.
fn kind_of(data: &[u8]) -> Option<&'static str> {
    match data {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_discords_own_hosts_are_asked() {
        let hosts = ["cdn.discordapp.com".to_owned(), "127.0.0.1".to_owned()];
        let attachments = Attachments::new(&hosts).unwrap();
        let may = |url: &str| attachments.may_be_fetched(&Url::parse(url).unwrap());
        assert!(may("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1&is=2"));
        assert!(may("http://127.0.0.1:9/attachments/1/2/a.png"));
        for wrong in [
            "http://cdn.discordapp.com/a.png",
            "https://cdn.discordapp.com:8443/a.png",
            "https://cdn.discordapp.com.evil.example/a.png",
            "https://evil.example/cdn.discordapp.com/a.png",
            "https://user@cdn.discordapp.com/a.png",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
        ] {
            assert!(!may(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_text_is_what_reads_as_one() {
        assert_eq!(text_of("\u{feff}né".as_bytes(), true), Some("né"));
        assert_eq!(text_of(b"n\xc3", false), Some("n"));
        assert_eq!(text_of(b"n\xc3", true), None);
        assert_eq!(text_of(b"n\xffo", false), None);
        assert_eq!(text_of(b"\xff\xfen\0o\0", true), None);
        assert_eq!(text_of(b"n\0o", true), None);
        assert_eq!(text_of(b"", true), Some(""));
    }

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        assert_eq!(kind_of(b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(kind_of(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(kind_of(b"GIF89a"), Some("image/gif"));
        assert_eq!(kind_of(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(kind_of(b"<svg>"), None);
        assert_eq!(kind_of(b""), None);
    }
}
