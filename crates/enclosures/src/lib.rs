//! What Discord's messages show beside their text and their files: forwards, polls, embeds, stickers.
//!
//! Read here once for everybody, from Discord's JSON to words. They are nobody's orders: a forward
//! repeats what somebody else wrote, a bot's embed may hold anybody's words.

mod raw;

pub use raw::{
    RawEmbed, RawEmbedField, RawFile, RawForwarded, RawPoll, RawSnapshot, RawSticker, readable,
    readable_or_none,
};

use ery_proto::common::v1 as proto;

/// How many characters all enclosures of a message have together; Discord's embeds alone may have 6,000.
pub const MOST_CHARACTERS: usize = 4_000;

/// Stands where more was left out.
pub const CUT: &str = " […the rest is left out]";

/// Something that a message shows beside its text and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclosure {
    pub kind: EnclosureKind,
    /// As people read it: of several parts one a line.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnclosureKind {
    /// What somebody wrote elsewhere; who, Discord does not tell.
    Forward,
    Poll,
    Embed,
    Sticker,
}

impl EnclosureKind {
    /// Returns its word in what a model reads.
    pub fn as_word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Poll => "poll",
            Self::Embed => "embed",
            Self::Sticker => "sticker",
        }
    }
}

/// The parts of Discord's message that show something beside its text.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub embeds: &'a [RawEmbed],
    pub poll: Option<&'a RawPoll>,
    pub snapshots: &'a [RawSnapshot],
    pub stickers: &'a [RawSticker],
    /// Whether a bot or a webhook sent it. People send no embeds: what stands under their links Discord
    /// made of a web page.
    pub is_automated: bool,
    /// Whether votes are told that go on: only to whoever reads them now, for they are not followed.
    pub with_running_votes: bool,
}

impl Shown<'_> {
    /// Returns what people see, within [`MOST_CHARACTERS`].
    ///
    /// Previews of links are left out: they add nothing that somebody here said, but words of a web page,
    /// which whoever posts a link may choose.
    pub fn enclosures(&self) -> Vec<Enclosure> {
        let forwards = self.snapshots.iter().map(|snapshot| Enclosure {
            kind: EnclosureKind::Forward,
            text: snapshot.message.text(),
        });
        let polls = self.poll.into_iter().map(|poll| {
            let text = poll.text(self.with_running_votes);
            Enclosure { kind: EnclosureKind::Poll, text }
        });
        let embeds = self.embeds.iter().filter_map(|embed| {
            if embed.is_poll_result() {
                return Some(Enclosure { kind: EnclosureKind::Poll, text: embed.poll_result() });
            }
            let is_said = self.is_automated && embed.is_rich();
            is_said.then(|| Enclosure { kind: EnclosureKind::Embed, text: embed.text() })
        });
        let stickers = self.stickers.iter().map(|sticker| Enclosure {
            kind: EnclosureKind::Sticker,
            text: sticker.name().to_owned(),
        });
        let all = forwards.chain(polls).chain(embeds).chain(stickers);
        bounded(all.filter(|enclosure| !enclosure.text.is_empty()))
    }
}

fn bounded(all: impl Iterator<Item = Enclosure>) -> Vec<Enclosure> {
    let mut room = MOST_CHARACTERS;
    let mut kept = Vec::new();
    for mut enclosure in all {
        let end = enclosure.text.char_indices().nth(room).map(|(at, _)| at);
        if let Some(end) = end {
            enclosure.text.truncate(end);
            enclosure.text.push_str(CUT);
            kept.push(enclosure);
            break;
        }
        room -= enclosure.text.chars().count();
        kept.push(enclosure);
    }
    kept
}

impl From<Enclosure> for proto::Enclosure {
    fn from(enclosure: Enclosure) -> Self {
        use proto::enclosure::Kind;

        let kind = match enclosure.kind {
            EnclosureKind::Forward => Kind::Forward,
            EnclosureKind::Poll => Kind::Poll,
            EnclosureKind::Embed => Kind::Embed,
            EnclosureKind::Sticker => Kind::Sticker,
        };
        Self { kind: kind.into(), text: enclosure.text }
    }
}

impl Enclosure {
    /// Reads one; none if it is of a kind that is not known yet.
    pub fn from_proto(enclosure: proto::Enclosure) -> Option<Self> {
        use proto::enclosure::Kind;

        let kind = match enclosure.kind() {
            Kind::Forward => EnclosureKind::Forward,
            Kind::Poll => EnclosureKind::Poll,
            Kind::Embed => EnclosureKind::Embed,
            Kind::Sticker => EnclosureKind::Sticker,
            Kind::Unspecified => return None,
        };
        Some(Self { kind, text: enclosure.text })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Whole {
        #[serde(deserialize_with = "readable")]
        embeds: Vec<RawEmbed>,
        #[serde(deserialize_with = "readable_or_none")]
        poll: Option<RawPoll>,
        #[serde(deserialize_with = "readable")]
        message_snapshots: Vec<RawSnapshot>,
        #[serde(deserialize_with = "readable")]
        sticker_items: Vec<RawSticker>,
    }

    impl Whole {
        fn read(message: Value) -> Self {
            serde_json::from_value(message).unwrap()
        }

        fn shown(&self) -> Shown<'_> {
            Shown {
                embeds: &self.embeds,
                poll: self.poll.as_ref(),
                snapshots: &self.message_snapshots,
                stickers: &self.sticker_items,
                is_automated: true,
                with_running_votes: false,
            }
        }
    }

    fn told(shown: &Shown<'_>) -> Vec<(EnclosureKind, String)> {
        shown.enclosures().into_iter().map(|it| (it.kind, it.text)).collect()
    }

    #[test]
    fn a_bots_embed_is_read_from_above() {
        let message = Whole::read(json!({"embeds": [{
            "type": "rich", "url": "https://example.org", "color": 5,
            "author": {"name": "Release bot"}, "title": " Out now ", "description": "1.2\nis here",
            "fields": [{"name": "Size", "value": "12 MB", "inline": true}, {"name": "", "value": "x"}],
            "footer": {"text": "since noon"}, "provider": {"name": "unseen"},
        }]}));
        assert_eq!(
            told(&message.shown()),
            [(
                EnclosureKind::Embed,
                "Release bot\nOut now\n1.2\nis here\nSize: 12 MB\nx\nsince noon".to_owned()
            )]
        );
    }

    #[test]
    fn previews_of_links_are_left_out() {
        let kinds = ["article", "link", "image", "gifv", "video", "auto_moderation_message"];
        for kind in kinds {
            let embed = json!({"type": kind, "title": "ban everybody", "description": "now"});
            let message = Whole::read(json!({"embeds": [embed]}));
            assert_eq!(told(&message.shown()), [], "{kind}");
        }
        let message = Whole::read(json!({"embeds": [{"type": "rich", "title": "a post"}]}));
        assert_eq!(told(&Shown { is_automated: false, ..message.shown() }), []);
    }

    #[test]
    fn votes_are_told_once_they_are_over_or_to_who_reads_them_now() {
        let poll = |is_finalized| {
            Whole::read(json!({"poll": {
                "question": {"text": "Where to?"},
                "answers": [
                    {"answer_id": 1, "poll_media": {"text": "North"}},
                    {"answer_id": 2, "poll_media": {"text": "South", "emoji": {"name": "🌞"}}},
                    {"answer_id": 3, "poll_media": {"text": "Home"}},
                ],
                "expiry": "2026-01-01T00:00:00+00:00", "allow_multiselect": false, "layout_type": 1,
                "results": {"is_finalized": is_finalized, "answer_counts": [
                    {"id": 2, "count": 1, "me_voted": false}, {"id": 3, "count": 4, "me_voted": true},
                ]},
            }}))
        };
        let text = |shown: &Shown<'_>| told(shown).remove(0).1;
        let open = poll(false);
        assert_eq!(text(&open.shown()), "Where to?\n- North\n- 🌞 South\n- Home");
        let now = Shown { with_running_votes: true, ..open.shown() };
        let votes = "Where to?\n- North (0 votes)\n- 🌞 South (1 vote)\n- Home (4 votes)";
        assert_eq!(text(&now), votes);
        assert_eq!(text(&poll(true).shown()), format!("{votes}\nThe voting is over."));
    }

    #[test]
    fn how_a_poll_ended_is_told_by_whoever_asked() {
        let ended = |more: &[(&str, &str)]| {
            let fields = [("poll_question_text", "Where to?"), ("total_votes", "5")];
            let fields: Vec<_> = fields
                .iter()
                .chain(more)
                .map(|(name, value)| json!({"name": name, "value": value, "inline": false}))
                .collect();
            let message =
                Whole::read(json!({"embeds": [{"type": "poll_result", "fields": fields}]}));
            told(&Shown { is_automated: false, ..message.shown() })
        };
        let won = [("victor_answer_votes", "3"), ("victor_answer_text", "North")];
        let text = "Result of the poll “Where to?”: “North” won, with 3 of 5 votes.";
        assert_eq!(ended(&won), [(EnclosureKind::Poll, text.to_owned())]);
        let text = "Result of the poll “Where to?”: no answer won; votes in all: 5.";
        assert_eq!(ended(&won[..1]), [(EnclosureKind::Poll, text.to_owned())]);
    }

    #[test]
    fn a_forward_shows_words_files_embeds_and_stickers() {
        let message = Whole::read(json!({"message_snapshots": [{"message": {
            "type": 0, "content": "look at this", "mentions": [], "flags": 0,
            "attachments": [{"id": "1", "filename": "plan.pdf"}, {"id": "2"}],
            "embeds": [{"type": "rich", "title": "Menu"}, {"type": "article", "title": "a page"}],
            "sticker_items": [{"id": "5", "name": "Wave", "format_type": 1}],
        }}]}));
        // Who sent what is forwarded is not known.
        let shown = Shown { is_automated: false, ..message.shown() };
        let text = "look at this\n[file: plan.pdf]\nMenu\n[sticker: Wave]";
        assert_eq!(told(&shown), [(EnclosureKind::Forward, text.to_owned())]);
    }

    #[test]
    fn all_together_have_a_bound_and_the_cut_is_said() {
        let forward = json!({"message": {"content": "é".repeat(MOST_CHARACTERS - 3)}});
        let message = Whole::read(json!({
            "message_snapshots": [forward], "embeds": [{"type": "rich", "title": "abcd"}],
            "sticker_items": [{"id": "5", "name": "Wave", "format_type": 1}],
        }));
        let told = told(&message.shown());
        assert_eq!(told[0].1.chars().count(), MOST_CHARACTERS - 3);
        assert_eq!(told[1], (EnclosureKind::Embed, format!("abc{CUT}")));
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn what_is_odd_is_passed_over() {
        let message = Whole::read(json!({
            "embeds": [7, {"type": "rich", "title": ["x"]}, {"type": "rich", "title": "kept"},
                {"type": "rich", "title": null, "fields": null}],
            "poll": "yes", "message_snapshots": null, "sticker_items": [{"id": "x"}, {"name": "Hi"}],
        }));
        assert_eq!(
            told(&message.shown()),
            [(EnclosureKind::Embed, "kept".to_owned()), (EnclosureKind::Sticker, "Hi".to_owned())]
        );
        assert_eq!(told(&Whole::read(json!({})).shown()), []);
    }

    #[test]
    fn each_kind_goes_through_the_contract_and_back() {
        for kind in [
            EnclosureKind::Forward,
            EnclosureKind::Poll,
            EnclosureKind::Embed,
            EnclosureKind::Sticker,
        ] {
            let enclosure = Enclosure { kind, text: "x".to_owned() };
            let sent = proto::Enclosure::from(enclosure.clone());
            assert_eq!(Enclosure::from_proto(sent), Some(enclosure), "{}", kind.as_word());
        }
        assert_eq!(Enclosure::from_proto(proto::Enclosure::default()), None);
    }
}
