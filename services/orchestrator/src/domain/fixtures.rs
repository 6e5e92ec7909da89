//! Messages for the domain's tests.

use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

use crate::domain::message::Message;

pub(crate) const BOT: Id<UserMarker> = Id::new(99);
pub(crate) const ANN: Id<UserMarker> = Id::new(1);
pub(crate) const BEN: Id<UserMarker> = Id::new(2);
pub(crate) const MOD: Id<UserMarker> = Id::new(3);

pub(crate) fn message(id: u64, author: Id<UserMarker>, content: &str) -> Message {
    in_channel(ChannelKey::from_raw(10, 20).unwrap(), id, author, content)
}

pub(crate) fn message_in_dm(id: u64, author: Id<UserMarker>, content: &str) -> Message {
    in_channel(ChannelKey::from_raw(0, 30).unwrap(), id, author, content)
}

fn in_channel(channel: ChannelKey, id: u64, author: Id<UserMarker>, content: &str) -> Message {
    let id: Id<MessageMarker> = Id::new(id);
    let created_at = UnixMillis(i64::try_from(id.get()).unwrap() * 1_000);
    Message {
        author_name: format!("name-{author}"),
        is_own: author == BOT,
        ..Message::of_words(channel, id, author, content.to_owned(), created_at)
    }
}
