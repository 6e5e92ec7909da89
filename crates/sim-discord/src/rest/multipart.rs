//! `multipart/form-data`: a JSON part named `payload_json` and files.

use bytes::Bytes;

/// One part of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) filename: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) content: Bytes,
}

/// Returns the boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(key, _)| key.eq_ignore_ascii_case("boundary"))
        .map(|(_, value)| value.trim_matches('"'))
        .filter(|value| !value.is_empty())
}

/// Splits a body into its parts; `None` if it is not well formed.
///
/// Source: RFC 2046, 5.1.1, and RFC 7578.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut at = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
    loop {
        if body[at..].starts_with(b"--") {
            return Some(parts);
        }
        let start = find(body, b"\r\n", at)? + 2;
        let head_end = find(body, b"\r\n\r\n", start)?;
        let content_start = head_end + 4;
        let closing = format!("\r\n{delimiter}");
        let content_end = find(body, closing.as_bytes(), content_start)?;
        let head = std::str::from_utf8(&body[start..head_end]).ok()?;
        parts.push(part(head, body.slice(content_start..content_end))?);
        at = content_end + closing.len();
    }
}

fn part(head: &str, content: Bytes) -> Option<Part> {
    let header = |name: &str| {
        let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    };
    let disposition = header("content-disposition")?;
    let parameter = |name: &str| {
        let fields = disposition.split(';').filter_map(|field| field.trim().split_once('='));
        let mut values = fields.filter(|(key, _)| *key == name).map(|(_, value)| value);
        values.next().map(|value| value.trim_matches('"').to_owned())
    };
    Some(Part {
        name: parameter("name")?,
        filename: parameter("filename"),
        content_type: header("content-type").map(str::to_owned),
        content,
    })
}

fn find(body: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    body.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|at| at + from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_with_their_names_and_bytes() {
        let body = Bytes::from_static(
            b"--xx\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\
              Content-Type: application/json\r\n\r\n{}\r\n--xx\r\n\
              Content-Disposition: form-data; name=\"files[0]\"; filename=\"a.txt\"\r\n\r\n\
              line\r\n\r\nend\r\n--xx--\r\n",
        );
        let parts =
            parts(&body, boundary("multipart/form-data; boundary=\"xx\"").unwrap()).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].name.as_str(), &parts[0].content[..]), ("payload_json", &b"{}"[..]));
        assert_eq!(parts[1].filename.as_deref(), Some("a.txt"));
        assert_eq!(&parts[1].content[..], b"line\r\n\r\nend");
    }

    #[test]
    fn a_body_that_is_cut_off_is_refused() {
        let body =
            Bytes::from_static(b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb");
        assert_eq!(parts(&body, "xx"), None);
        assert_eq!(boundary("application/json"), None);
    }
}
