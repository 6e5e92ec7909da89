//! What Ery says, made harmless before it is sent.
//!
//! SAFETY §17: a hijacked model must not carry secrets out, neither in words nor in an address
//! that a preview would fetch, nor hide where a link leads.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

use super::text;

/// How long a message may be, in characters.
pub(crate) const MAX_CONTENT: usize = 2_000;

/// How deep links are looked for in labels of links.
const MAX_NESTED_LINKS: usize = 8;

/// What closes a bracket or a sentence behind an address.
const CLOSING: [char; 10] = [')', ']', '"', '\'', '`', '.', ',', ';', ':', '!'];

/// How much of what closes a bracket or a sentence behind an address is kept.
const MOST_CLOSING: usize = 3;

/// What stands where something was taken out.
const REMOVED: &str = "[removed]";

/// What may be said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Hosts whose addresses may carry a query and be shown with a preview.
    pub(crate) known_hosts: Vec<String>,
    /// Texts that must never be said: canaries, our own token.
    pub(crate) never: Vec<String>,
}

/// A text fit to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filtered {
    pub(crate) content: String,
    /// Whether Discord must fetch no preview: some address leads to an unknown host.
    pub(crate) without_previews: bool,
}

impl Filter {
    /// Returns a text as it may be sent. Filtering twice changes nothing more.
    pub(crate) fn filtered(&self, content: &str) -> Filtered {
        let content = text::visible(content);
        let content = self.without_secrets(&content);
        let content = self.without_masks(&self.with_plain_links(&content));
        let mut without_previews = false;
        let content = ADDRESS.replace_all(&content, |found: &Captures<'_>| {
            let address = &found[0];
            if self.is_known(address) {
                return address.to_owned();
            }
            without_previews = true;
            // Brackets and quotes within it are its own, to whoever reads it; those around it are not.
            let inner = address.trim_end_matches(CLOSING);
            let closing = &address[inner.len()..];
            let closing = closing.get(..MOST_CLOSING).unwrap_or(closing);
            let end = inner.find(['?', '#']).unwrap_or(inner.len());
            format!("{}{closing}", &inner[..end])
        });
        let content = content.into_owned();
        Filtered { content, without_previews }
    }

    fn without_secrets(&self, content: &str) -> String {
        let content = SECRET.replace_all(content, REMOVED);
        self.never
            .iter()
            .filter(|never| !never.is_empty())
            .fold(content.into_owned(), |content, never| content.replace(never, REMOVED))
    }

    /// Shows where a masked link leads, unless to a known host.
    fn with_plain_links(&self, content: &str) -> String {
        let shown = |link: &Captures<'_>| {
            let (label, address) = (&link["label"], &link["address"]);
            if self.is_known(address) { link[0].to_owned() } else { format!("{label} ({address})") }
        };
        // One link may stand in another's label.
        let mut content = content.to_owned();
        for _ in 0..MAX_NESTED_LINKS {
            match MASKED_LINK.replace_all(&content, shown) {
                Cow::Owned(changed) if changed != content => content = changed,
                _ => return content,
            }
        }
        // Somebody plays with us: without brackets nothing is masked.
        content.replace(['[', ']'], " ")
    }

    /// Parts labels from addresses where a bracket is left before an unknown one: Discord may read
    /// labels in which brackets stand.
    fn without_masks(&self, content: &str) -> String {
        let parted = |link: &Captures<'_>| {
            if self.is_known(&link["address"]) {
                link[0].to_owned()
            } else {
                format!("] ({}", &link["address"])
            }
        };
        MASK.replace_all(content, parted).into_owned()
    }

    /// Whether an address leads to a known host, and to nowhere else: what follows a bracket or a quote
    /// Discord may take for another address.
    fn is_known(&self, address: &str) -> bool {
        let ends_early = |c: char| matches!(c, '(' | ')' | '[' | ']' | '"' | '\'' | '`');
        let plain = address.trim_end_matches(CLOSING);
        if plain.contains(ends_early) || plain.matches("://").count() > 1 {
            return false;
        }
        let Ok(address) = url::Url::parse(address) else { return false };
        let Some(host) = address.host_str() else { return false };
        let has_login = !address.username().is_empty() || address.password().is_some();
        !has_login
            && self.known_hosts.iter().any(|known| {
                host == known
                    || host.strip_suffix(known.as_str()).is_some_and(|sub| sub.ends_with('.'))
            })
    }
}

/// Returns the beginning of a text that is still written of which it is known what it will be: a word,
/// an address or a link that is half written may yet become one that is not to be said.
pub(crate) fn settled(content: &str) -> &str {
    let end = content.rfind(char::is_whitespace).unwrap_or(0);
    let written = &content[..end];
    let begin = written.rfind('\n').map_or(0, |index| index + 1);
    let last = &written[begin..];
    let count = |what: char| last.matches(what).count();
    let is_whole =
        count('[') == count(']') && count('(') == count(')') && !last.trim_end().ends_with(']');
    let link = last.find('[').filter(|_| !is_whole);
    link.map_or(written, |link| &written[..begin + link])
}

/// Discord makes a link of it whatever stands before it.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)(?:https?|s?ftps?)://[^\s<>]+"));

static MASKED_LINK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\[(?<label>[^\[\]\n]*)\]\s?\(\s*<?(?<address>[a-z][a-z0-9+.-]*://[^\s<>()]+)>?[^()\n]*\)",
    )
});

/// What is left of a masked link whose label has brackets.
static MASK: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\]\s?\(\s*<?(?<address>[a-z][a-z0-9+.-]*://[^\s<>()]+)>?"));

/// Shapes of credentials: Discord's, model providers', code hosts', clouds', private keys.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"[A-Za-z\d_-]{23,28}\.[A-Za-z\d_-]{6,7}\.[A-Za-z\d_-]{27,}",
        r"|eyJ[A-Za-z\d_-]{10,}\.eyJ[A-Za-z\d_-]{10,}\.[A-Za-z\d_-]{10,}",
        // What begins them may stand behind an underscore or a letter of another script.
        r"|(?-u:\b|_)(?:(?:sk|rk|pk|xai)-[A-Za-z\d_-]{20,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z\d]{16,}",
        r"|(?:gsk|hf)_[A-Za-z\d]{30,}|gh[pousr]_[A-Za-z\d]{30,}|github_pat_[A-Za-z\d_]{30,}",
        r"|xox[abprs]-[A-Za-z\d-]{10,}|AKIA[A-Z\d]{16}(?-u:\b)|AIza[A-Za-z\d_-]{35})",
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
        r"|(?i)discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/[A-Za-z\d_-]+",
    ))
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is written here and tested")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_written_is_not_shown() {
        assert_eq!(settled("hello wor"), "hello");
        assert_eq!(settled("hello"), "");
        assert_eq!(settled("hello https://evil.example/?a=b"), "hello");
        assert_eq!(settled("it is [right here](https://evil.example/a "), "it is ");
        assert_eq!(settled("it is [right here] ("), "it is ");
        assert_eq!(
            settled("it is [right here](https://x.example/a) so "),
            "it is [right here](https://x.example/a) so"
        );
        assert_eq!(settled("a [b\nc d"), "a [b\nc");
    }

    #[test]
    fn nothing_that_may_not_be_said_is_shown_on_the_way_to_it() {
        let secret = format!("sk-{}", "a".repeat(40));
        let text = format!(
            "Look: {secret} and [here](https://evil.example/x?q={secret}) and https://evil.example/?q=1 so"
        );
        let filter = Filter::default();
        for (end, _) in text.char_indices() {
            let shown = filter.filtered(settled(&text[..end])).content;
            assert!(!shown.contains("sk-") && !shown.contains("?q"), "{shown}");
            assert!(!shown.contains("]("), "no link hides where it leads: {shown}");
        }
    }

    fn filter() -> Filter {
        Filter { known_hosts: vec!["discord.com".into()], never: vec!["canary-7f".into()] }
    }

    fn said(content: &str) -> String {
        filter().filtered(content).content
    }

    #[test]
    fn no_label_hides_where_a_link_leads_whatever_brackets_it_has() {
        for content in [
            "[discord.com [login]](https://evil.example/)",
            "[[x]](https://evil.example)",
            "[a [b] c](https://evil.example/)",
            "[x]] (<https://evil.example/>)",
        ] {
            let said = said(content);
            assert!(!said.contains("](") && !said.contains("](<"), "{content}: {said}");
            assert!(said.contains("evil.example"), "{content}: {said}");
            assert_eq!(self::said(&said), said, "filtering twice changes nothing");
        }
        assert_eq!(said("[a [b]](https://discord.com/x)"), "[a [b]](https://discord.com/x)");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ["hello", "a [b] (c)", "x < y > z", "1. one\n2. two", "@everyone", "**b** `c`"]
        {
            assert_eq!(
                filter().filtered(text),
                Filtered { content: text.into(), without_previews: false }
            );
        }
    }

    #[test]
    fn credentials_are_taken_out() {
        let token = format!("{}.{}.{}", "MTk4NjIyNDgzNDcxOTI1MjQ4", "Cl2FMQ", "a".repeat(27));
        for secret in [
            token.as_str(),
            "sk-abcdefghijklmnopqrstuvwx",
            "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "AKIAABCDEFGHIJKLMNOP",
            "canary-7f",
            "https://discord.com/api/webhooks/1/abc",
            "gsk_abcdefghijklmnopqrstuvwxyz0123456789",
            "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmnop",
        ] {
            for before in ["it is ", "_", "詳細は", "**"] {
                let content = said(&format!("{before}{secret} there"));
                assert!(!content.contains(secret), "{content}");
                assert!(content.contains(REMOVED), "{content}");
            }
        }
        let ordinary = "a risk-assessment-framework-for-everybody and a task_force";
        assert_eq!(said(ordinary), ordinary);
    }

    #[test]
    fn a_masked_link_shows_where_it_leads() {
        assert_eq!(
            said("[discord.com](https://evil.example/login)"),
            "discord.com (https://evil.example/login)"
        );
        assert_eq!(said("[here](<https://evil.example>)"), "here (https://evil.example)");
        assert_eq!(said(r#"[a](https://evil.example "title")"#), "a (https://evil.example)");
        let kept = "[rules](https://discord.com/guidelines)";
        assert_eq!(said(kept), kept);
        assert_eq!(
            said("[x](https://discord.com@evil.example/)"),
            "x (https://discord.com@evil.example/)"
        );
    }

    #[test]
    fn an_unknown_host_gets_no_data_and_no_preview() {
        let filtered = filter().filtered("see https://evil.example/a?leak=secret#x now");
        assert_eq!(filtered.content, "see https://evil.example/a now");
        assert!(filtered.without_previews);
        let known = "https://support.discord.com/hc?x=1";
        assert_eq!(
            filter().filtered(known),
            Filtered { content: known.into(), without_previews: false }
        );
        assert!(filter().filtered("https://notdiscord.com/?q=1").without_previews);
        for hidden in [
            "[a](https://discord.com/x)https://evil.example/?leak=1",
            "`https://discord.com/`https://evil.example/?leak=1",
            "https://discord.com/?to=https://evil.example/?leak=1",
            "(https://discord.com/a)[b](https://evil.example/?leak=1)",
            "詳細はhttps://evil.example/x?leak=1",
            "_https://evil.example/?leak=1_",
            "xhttps://evil.example/?leak=1",
            "1HTTPS://evil.example/?leak=1",
            "ftp://evil.example/?leak=1",
        ] {
            let filtered = filter().filtered(hidden);
            assert!(!filtered.content.contains("leak"), "{}", filtered.content);
            assert!(filtered.without_previews, "{}", filtered.content);
        }
        for hidden in ["(x)?leak=1", "[x]?leak=1", "'?leak=1", "\"?leak=1", "`#leak"] {
            let content = said(&format!("see https://evil.example/{hidden} now"));
            assert!(!content.contains("leak"), "{content}");
        }
    }

    #[test]
    fn filtering_again_changes_nothing() {
        for text in [
            "[a](https://evil.example/x?y=1)",
            "[[a](https://evil.example)](https://evil.example)",
            "sk-abcdefghijklmnopqrstuvwx\u{200b}",
        ] {
            let once = said(text);
            assert_eq!(said(&once), once);
        }
    }
}
