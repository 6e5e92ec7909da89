//! A request and its answer, as a log has them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One line of the simulator's log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Exchange {
    /// Its number in the log.
    pub seq: u64,
    pub method: String,
    /// With the version in front and the query behind.
    pub path: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
    /// JSON as such, anything else as a string, nothing as null.
    pub body: Value,
    /// 0 if the client was kept from any answer.
    pub status: u16,
    pub response: Value,
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Multipart,
    UrlEncoded,
}

impl Encoding {
    /// The media type under which the document has it.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Multipart => "multipart/form-data",
            Self::UrlEncoded => "application/x-www-form-urlencoded",
        }
    }
}

impl Exchange {
    /// Returns the path below the version, without its query.
    pub(crate) fn route(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/api").unwrap_or(path);
        let Some((version, rest)) = path.strip_prefix("/v").and_then(|path| path.split_once('/'))
        else {
            return path;
        };
        let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        if is_version { &path[path.len() - rest.len() - 1..] } else { path }
    }

    /// Returns the query's names and values, decoded.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        pairs(self.path.split_once('?').map_or("", |(_, query)| query))
    }

    /// Returns how the body is written, which is JSON unless its header says otherwise.
    pub(crate) fn encoding(&self) -> Encoding {
        let content_type = self.headers.get("content-type").map_or("", String::as_str);
        if content_type.starts_with("multipart/form-data") {
            Encoding::Multipart
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            Encoding::UrlEncoded
        } else {
            Encoding::Json
        }
    }

    /// Returns the body as the document's schemas see it.
    pub(crate) fn body_value(&self) -> Result<Value, &'static str> {
        let text = || self.body.as_str().unwrap_or_default();
        match self.encoding() {
            Encoding::Json => Ok(self.body.clone()),
            Encoding::UrlEncoded => Ok(form(pairs(text()))),
            Encoding::Multipart => {
                let content_type = self.headers.get("content-type").map_or("", String::as_str);
                multipart(content_type, text())
            }
        }
    }
}

/// Decodes `name=value&…`.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " "))))
        .collect()
}

/// Decodes `%41`; what is no such code stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A field that is JSON by itself counts as what it is.
fn form(fields: Vec<(String, String)>) -> Value {
    let fields = fields.into_iter();
    Value::Object(fields.map(|(name, value)| (name, Value::String(value))).collect())
}

/// Reads a multipart body: its `payload_json`, or else its fields, beside the names of its files.
fn multipart(content_type: &str, body: &str) -> Result<Value, &'static str> {
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="));
    let boundary = boundary.ok_or("a multipart body names its boundary")?.trim_matches('"');
    let delimiter = format!("--{boundary}");
    let mut object = Map::new();
    for part in body.split(delimiter.as_str()).skip(1) {
        if part.starts_with("--") {
            break;
        }
        let (headers, content) = part
            .split_once("\r\n\r\n")
            .ok_or("a part of a multipart body has headers and a content")?;
        let name = disposition(headers, "name").ok_or("a part of a multipart body has a name")?;
        let content = content.strip_suffix("\r\n").unwrap_or(content);
        if name == "payload_json" {
            let payload: Value =
                serde_json::from_str(content).map_err(|_| "`payload_json` holds JSON")?;
            object.extend(payload.as_object().ok_or("`payload_json` holds an object")?.clone());
        } else {
            object.insert(name.to_owned(), content.into());
        }
    }
    Ok(Value::Object(object))
}

/// Returns a parameter of a part's `Content-Disposition`.
fn disposition<'a>(headers: &'a str, wanted: &str) -> Option<&'a str> {
    let line = headers.lines().find(|line| {
        line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"))
    })?;
    line.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        (name == wanted).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(path: &str) -> Exchange {
        Exchange { path: path.to_owned(), ..Exchange::default() }
    }

    #[test]
    fn a_path_loses_its_version_and_its_query() {
        assert_eq!(asked("/api/v10/users/@me?x=1").route(), "/users/@me");
        assert_eq!(asked("/api/users/@me").route(), "/users/@me");
        assert_eq!(asked("/api/voice/regions").route(), "/voice/regions");
        let query = asked("/x?a=b%20c&d=1+2&e").query();
        let expected = [("a", "b c"), ("d", "1 2"), ("e", "")];
        assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(decoded("%F0%9F%91%8D 100%"), "👍 100%");
    }

    #[test]
    fn a_multipart_body_is_its_payload_and_its_files() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n\
            {\"content\":\"see\"}\r\n\
            --b\r\ncontent-disposition: form-data; name=\"files[0]\"; filename=\"a.txt\"\r\n\r\n\
            hello\r\n--b--\r\n";
        let headers = [("content-type".to_owned(), "multipart/form-data; boundary=b".to_owned())];
        let exchange =
            Exchange { headers: headers.into(), body: body.into(), ..Exchange::default() };
        let expected = json!({ "content": "see", "files[0]": "hello" });
        assert_eq!(exchange.body_value().unwrap(), expected);
    }
}
