//! Fetches the pictures that members posted, for models that see.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use reqwest::{Url, redirect};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    domain::conversation::{Image, Turn, TurnRequest},
    error::AiError,
};

/// The largest picture that is fetched: providers take 5 MB, as base64 or not.
const LARGEST: usize = 4 * 1024 * 1024;

/// How many pictures one turn shows.
const MOST: usize = 4;

/// How long all pictures of a turn may take. Without them the turn is asked all the same.
const WITHIN: Duration = Duration::from_secs(5);

/// Fetches pictures from Discord's own hosts, and from nowhere else.
#[derive(Clone)]
pub(crate) struct Pictures {
    web: reqwest::Client,
    hosts: Vec<String>,
}

impl fmt::Debug for Pictures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pictures").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Pictures {
    pub(crate) fn new(hosts: &[String]) -> Result<Self, AiError> {
        super::http::install_crypto();
        let web = reqwest::Client::builder()
            .connect_timeout(WITHIN)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("ery/", env!("CARGO_PKG_VERSION")));
        Ok(Self { web: web.build().map_err(AiError::Client)?, hosts: hosts.to_vec() })
    }

    /// Fetches what a turn only names. What cannot be had is left out, and the model is told.
    pub(crate) async fn fetch(&self, request: &mut TurnRequest) {
        let wanted = |turn: &mut Turn| match turn {
            Turn::Images(images) => std::mem::take(images),
            _ => Vec::new(),
        };
        let by_turn: Vec<Vec<Image>> = request.turns.iter_mut().map(wanted).collect();
        let numbered = by_turn.into_iter().enumerate();
        let mut all: Vec<(usize, Image)> = numbered
            .flat_map(|(turn, images)| images.into_iter().map(move |it| (turn, it)))
            .collect();
        if all.is_empty() {
            return;
        }
        let named = all.len();
        all.truncate(MOST);
        let fetching = stream::iter(all).map(|(turn, image)| async move {
            let image = if image.data.is_empty() { self.fetched(image).await } else { Some(image) };
            Some((turn, image?))
        });
        let mut fetching = std::pin::pin!(fetching.buffered(MOST));
        let mut had = 0;
        let collecting = async {
            while let Some(next) = fetching.next().await {
                if let Some((turn, image)) = next
                    && let Some(Turn::Images(images)) = request.turns.get_mut(turn)
                {
                    images.push(image);
                    had += 1;
                }
            }
        };
        // Whatever has not come by then is left out.
        drop(tokio::time::timeout(WITHIN, collecting).await);
        request.turns.retain(|turn| !matches!(turn, Turn::Images(images) if images.is_empty()));
        if had < named {
            request.turns.push(Turn::Note(format!(
                "{} pictures of the messages to be answered cannot be shown to you.",
                named - had
            )));
        }
    }

    async fn fetched(&self, image: Image) -> Option<Image> {
        let url = Url::parse(&image.url).ok().filter(|url| self.may_be_fetched(url))?;
        // Nothing may log where members' pictures lie.
        let data = self.read(url).with_subscriber(NoSubscriber::default()).await?;
        let media_type = kind_of(&data)?.to_owned();
        Some(Image { media_type, data, ..image })
    }

    async fn read(&self, url: Url) -> Option<Bytes> {
        let mut response = self.web.get(url).send().await.ok()?;
        let is_small = response.content_length().is_none_or(|length| length <= LARGEST as u64);
        if !response.status().is_success() || !is_small {
            return None;
        }
        let mut data = BytesMut::new();
        while let Some(bytes) = response.chunk().await.ok()? {
            data.extend_from_slice(&bytes);
            if data.len() > LARGEST {
                return None;
            }
        }
        Some(data.freeze())
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
        let pictures = Pictures::new(&hosts).unwrap();
        let may = |url: &str| pictures.may_be_fetched(&Url::parse(url).unwrap());
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
    fn a_picture_is_what_its_bytes_say() {
        assert_eq!(kind_of(b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(kind_of(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(kind_of(b"GIF89a"), Some("image/gif"));
        assert_eq!(kind_of(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(kind_of(b"<svg>"), None);
        assert_eq!(kind_of(b""), None);
    }
}
