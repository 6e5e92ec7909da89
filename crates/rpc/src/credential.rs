use http::{HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};

/// What every call between services carries, so that nobody else's is served.
#[derive(Clone, Debug)]
pub struct ClusterCredential(SecretString);

impl ClusterCredential {
    pub fn new(credential: SecretString) -> Self {
        Self(credential)
    }

    /// Returns the value of the `authorization` header, if it can be one.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns whether a request carries it. Takes as long whatever differs.
    pub(crate) fn is_in(&self, headers: &http::HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        let wanted = format!("Bearer {}", self.0.expose_secret());
        let wanted = wanted.as_bytes();
        let differing = given
            .iter()
            .zip(wanted)
            .fold(given.len() ^ wanted.len(), |differing, (a, b)| differing | usize::from(a ^ b));
        differing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_credential_is_let_in() {
        let credential = ClusterCredential::new("correct".into());
        let mut headers = http::HeaderMap::new();
        assert!(!credential.is_in(&headers));
        for (given, is_in) in [
            ("Bearer correct", true),
            ("Bearer correcT", false),
            ("Bearer correct1", false),
            ("correct", false),
        ] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(given));
            assert_eq!(credential.is_in(&headers), is_in, "{given}");
        }
    }
}
