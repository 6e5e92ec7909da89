//! Where Discord's REST API is.

use url::Url;

/// The one path that is served: version 10.
const PATH: &str = "/api/v10";

/// The base of all requests: `https://discord.com/api/v10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiUrl(String);

/// Why an address cannot be the base of Discord's API.
#[derive(Debug, thiserror::Error)]
pub enum ApiUrlError {
    #[error("`discord.api_url` is no address")]
    NoUrl(#[source] url::ParseError),
    #[error("`discord.api_url` must begin with http:// or https://, not {0}:")]
    Scheme(String),
    #[error("`discord.api_url` must end with the path {PATH}, not `{0}`")]
    Path(String),
    #[error("`discord.api_url` must be an address without login, query and fragment")]
    Decorated,
}

impl ApiUrl {
    /// Reads the setting.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiUrlError> {
        let url = Url::parse(text.trim()).map_err(ApiUrlError::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ApiUrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(ApiUrlError::Decorated);
        }
        if url.path().trim_end_matches('/') != PATH {
            return Err(ApiUrlError::Path(url.path().to_owned()));
        }
        // `host:port` as it was given, with brackets around an IPv6 address.
        let authority = url.authority();
        Ok(Self(format!("{}://{authority}{PATH}", url.scheme())))
    }

    /// Returns the address of a path below the base.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }

    /// Whether it is Discord itself, and no other server or proxy.
    pub(crate) fn is_discords_own(&self) -> bool {
        let host = Url::parse(&self.0).ok().and_then(|url| url.host_str().map(str::to_owned));
        host.is_some_and(|host| {
            ["discord.com", "discordapp.com"].iter().any(|own| {
                let before = host.strip_suffix(own);
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_will_do() {
        for (given, base) in [
            ("https://discord.com/api/v10", "https://discord.com/api/v10/x"),
            ("http://127.0.0.1:9000/api/v10/", "http://127.0.0.1:9000/api/v10/x"),
            ("https://proxy.example:8443/api/v10", "https://proxy.example:8443/api/v10/x"),
            ("http://[::1]:80/api/v10", "http://[::1]/api/v10/x"),
        ] {
            assert_eq!(ApiUrl::parse(given).unwrap().join("x"), base);
        }
    }

    #[test]
    fn discord_itself_is_told_from_others() {
        for (given, is_own) in [
            ("https://discord.com/api/v10", true),
            ("https://canary.discord.com/api/v10", true),
            ("https://discordapp.com/api/v10", true),
            ("https://notdiscord.com/api/v10", false),
            ("https://discord.com.example/api/v10", false),
            ("http://127.0.0.1:3001/api/v10", false),
        ] {
            assert_eq!(ApiUrl::parse(given).unwrap().is_discords_own(), is_own, "{given}");
        }
    }

    #[test]
    fn what_cannot_be_the_base_is_named() {
        for (given, named) in [
            ("discord.com", "no address"),
            ("ftp://discord.com/api/v10", "ftp:"),
            ("https://discord.com/api/v9", "/api/v9"),
            ("https://discord.com/", "/api/v10"),
            ("https://a:b@discord.com/api/v10", "without login"),
            ("https://discord.com/api/v10?x=1", "without login"),
        ] {
            let error = ApiUrl::parse(given).unwrap_err().to_string();
            assert!(error.contains(named), "{given}: {error}");
        }
    }
}
