use std::fmt;

use url::Url;

use crate::ConnectError;

/// Where servers are, without who may enter: what errors and logs may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Servers(Vec<String>);

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// One NATS server's URL, taken apart.
pub(crate) struct NatsUrl {
    /// Without credentials.
    pub(crate) address: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

/// Reads `nats.url`: one or more URLs, separated by commas.
pub(crate) fn nats_urls(text: &str) -> Result<(Vec<NatsUrl>, Servers), ConnectError> {
    let mut urls = Vec::new();
    let mut servers = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let with_scheme =
            if part.contains("://") { part.to_owned() } else { format!("nats://{part}") };
        let url = parse(&with_scheme, "nats.url", &["nats", "tls", "ws", "wss"])?;
        let host = host(&url, "nats.url")?;
        let port = url.port().unwrap_or(4222);
        servers.push(format!("{host}:{port}"));
        urls.push(NatsUrl {
            address: format!("{}://{host}:{port}", url.scheme()),
            user: Some(decoded(url.username())).filter(|user| !user.is_empty()),
            password: url.password().map(decoded),
        });
    }
    if urls.is_empty() {
        return Err(ConnectError::InvalidUrl { key: "nats.url", reason: "it names no server" });
    }
    Ok((urls, Servers(servers)))
}

/// Says where the server of `redis.url` is.
pub(crate) fn redis_server(text: &str) -> Result<Servers, ConnectError> {
    let url = parse(text, "redis.url", &["redis", "rediss", "valkey", "valkeys"])?;
    let host = host(&url, "redis.url")?;
    Ok(Servers(vec![format!("{host}:{}", url.port().unwrap_or(6379))]))
}

fn parse(text: &str, key: &'static str, schemes: &[&str]) -> Result<Url, ConnectError> {
    // The parser's own error could repeat what stands in the URL.
    let url =
        Url::parse(text).map_err(|_| ConnectError::InvalidUrl { key, reason: "it is no URL" })?;
    if !schemes.contains(&url.scheme()) {
        return Err(ConnectError::InvalidUrl { key, reason: "its scheme is another" });
    }
    Ok(url)
}

fn host(url: &Url, key: &'static str) -> Result<String, ConnectError> {
    url.host_str()
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
        .ok_or(ConnectError::InvalidUrl { key, reason: "it names no host" })
}

/// Undoes percent-encoding; what is not UTF-8 afterwards is taken as it stands.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte =
            pair.filter(|_| *first == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url() {
        let (urls, servers) = nats_urls("nats://ery:p%40ss@one:4222, tls://two").unwrap();
        assert_eq!(servers.to_string(), "one:4222, two:4222");
        assert_eq!(urls[0].address, "nats://one:4222");
        assert_eq!(urls[0].user.as_deref(), Some("ery"));
        assert_eq!(urls[0].password.as_deref(), Some("p@ss"));
        assert_eq!(urls[1].address, "tls://two:4222");
        assert_eq!(urls[1].user, None);
    }

    #[test]
    fn an_error_does_not_repeat_the_url() {
        for text in ["", "http://u:hidden@host", "nats://u:hidden@:x"] {
            let Err(error) = nats_urls(text) else { panic!("`{text}` is no server") };
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
        }
        let Err(error) = redis_server("redis//:hidden@host") else { panic!("no URL") };
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
    }

    #[test]
    fn a_server_without_a_port_has_the_usual_one() {
        assert_eq!(redis_server("rediss://:x@cache/1").unwrap().to_string(), "cache:6379");
        assert_eq!(nats_urls("cache").unwrap().1.to_string(), "cache:4222");
    }
}
