use ery_proto::common::v1::Message;
use ery_proto::store::v1::{
    ChannelEnd, DirectGap, FindDirectGapsRequest, FindGapsRequest, Gap, IngestEvent,
    IsReadBackRequest, NoteReadBackRequest,
};

use crate::support::{
    CHANNEL, GUILD, NOW, Store, created, deleted, end_execution, execution, fence, message,
};

const OTHER: u64 = CHANNEL + 1;

/// Long after everything that the tests ingest at `NOW`.
const LATER: i64 = NOW + 60_000;

fn question(event: &str, received_at_ms: i64, ends: &[(u64, u64)]) -> FindGapsRequest {
    let end =
        |&(channel_id, last_message_id): &(u64, u64)| ChannelEnd { channel_id, last_message_id };
    FindGapsRequest {
        guild_id: GUILD,
        event_id: event.to_owned(),
        received_at_ms,
        ingestion: "ingestion".to_owned(),
        channels: ends.iter().map(end).collect(),
    }
}

impl Store {
    async fn gaps(&mut self, question: FindGapsRequest) -> Vec<(u64, u64, u64)> {
        let gaps = self.client.find_gaps(question).await.unwrap().into_inner().gaps;
        gaps.iter().map(|Gap { channel_id, after, last }| (*channel_id, *after, *last)).collect()
    }

    async fn take_in(&mut self, ids: &[u64]) {
        let events = ids.iter().map(|id| created(&format!("mc.{id}"), message(*id, "hi")));
        self.ingest(events.collect()).await;
    }
}

#[tokio::test]
async fn a_guild_that_is_new_has_missed_nothing() {
    let mut store = Store::new().await;
    assert_eq!(store.gaps(question("s.2", NOW, &[(CHANNEL, 7), (OTHER, 8)])).await, []);
    assert_eq!(store.gaps(question("s.2", NOW, &[(CHANNEL, 7), (OTHER, 8)])).await, []);
}

#[tokio::test]
async fn what_was_said_since_the_guild_was_told_before_is_missing() {
    let mut store = Store::new().await;
    let id_at = |at: i64| u64::try_from(at - 1_420_070_400_000).unwrap() << 22;
    store.gaps(question("s.2", NOW, &[(CHANNEL, id_at(NOW) - 1)])).await;
    let ends = [(CHANNEL, id_at(NOW + 5)), (OTHER, id_at(NOW) - 1)];
    let missing = [(CHANNEL, id_at(NOW), id_at(NOW + 5))];
    assert_eq!(store.gaps(question("t.2", LATER, &ends)).await, missing);
    // The event comes again: it is not told by itself.
    assert_eq!(store.gaps(question("t.2", LATER, &ends)).await, missing);
}

#[tokio::test]
async fn only_the_difference_to_what_was_taken_in_is_missing() {
    let mut store = Store::new().await;
    store.take_in(&[3, 5]).await;
    let ends = [(CHANNEL, 9), (OTHER, 8)];
    assert_eq!(
        store.gaps(question("s.2", LATER, &ends)).await,
        [(CHANNEL, 5, 9), (OTHER, 5, 8)],
        "of a channel that is not known, what is newer than the newest of the guild"
    );
    assert_eq!(store.gaps(question("t.2", LATER, &[(CHANNEL, 5), (OTHER, 4)])).await, []);
}

#[tokio::test]
async fn a_deleted_message_is_known() {
    let mut store = Store::new().await;
    store.take_in(&[3, 5]).await;
    store.ingest(vec![deleted("d", &[5], NOW)]).await;
    assert_eq!(store.gaps(question("s.2", LATER, &[(CHANNEL, 5)])).await, []);
}

#[tokio::test]
async fn what_the_new_session_brought_fills_no_gap() {
    let mut store = Store::new().await;
    store.take_in(&[3]).await;
    store.clock.set(ery_clock::UnixMillis(LATER));
    // Said after the session began, and taken in before the guild is looked at.
    store.take_in(&[9]).await;
    assert_eq!(store.gaps(question("s.2", LATER, &[(CHANNEL, 9)])).await, [(CHANNEL, 3, 9)]);
}

#[tokio::test]
async fn ones_own_answer_fills_no_gap() {
    let mut store = Store::new().await;
    store.take_in(&[3]).await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 3).await;
    let execution = execution(thread, 0);
    let begun = crate::support::begin_execution(&holder, &execution);
    store.client.begin_execution(begun).await.unwrap();
    let mut end = end_execution(&holder, &execution, ery_proto::store::v1::ExecutionState::Done);
    end.sent = Some(message(8, "an answer, while no session was held"));
    store.client.end_execution(end).await.unwrap();
    assert_eq!(
        store.gaps(question("s.2", LATER, &[(CHANNEL, 8)])).await,
        [(CHANNEL, 3, 8)],
        "what was said before it may be missing"
    );
}

impl Store {
    async fn note_read_back(&mut self, session: &str, told_at_ms: i64) {
        let session = session.to_owned();
        let request = NoteReadBackRequest { guild_id: GUILD, session, told_at_ms, channel_id: 0 };
        self.client.note_read_back(request).await.unwrap();
    }

    async fn is_read_back(&mut self, session: &str, received_at_ms: i64) -> bool {
        let session = session.to_owned();
        let request = IsReadBackRequest { guild_id: GUILD, session, received_at_ms, channel_id: 0 };
        self.client.is_read_back(request).await.unwrap().into_inner().is_read_back
    }
}

#[tokio::test]
async fn a_session_is_read_back_once_that_was_noted() {
    let mut store = Store::new().await;
    assert!(!store.is_read_back("s", NOW + 1).await);
    store.gaps(question("s.2", NOW, &[(CHANNEL, 7)])).await;
    assert!(!store.is_read_back("s", NOW + 1).await, "gaps were looked for, not read");
    store.note_read_back("s", NOW).await;
    assert!(store.is_read_back("s", NOW + 1).await);
    assert!(!store.is_read_back("t", NOW + 1).await);
    assert!(store.is_read_back("r", NOW - 1).await, "of an older session nothing is waited for");
    store.note_read_back("t", LATER).await;
    // The event of the older session comes again.
    store.note_read_back("s", NOW).await;
    assert!(store.is_read_back("t", LATER + 1).await);
    assert!(store.is_read_back("s", NOW + 1).await);
}

/// Direct messages in two shards.
const DIRECT: [u64; 3] = [80 << 22, 81 << 22, 82 << 22];

impl Store {
    async fn take_in_directly(&mut self, channel_id: u64, ids: &[u64]) {
        let events = ids.iter().map(|id| {
            let message = Message { guild_id: 0, channel_id, ..message(*id, "hi") };
            IngestEvent { guild_id: 0, channel_id, ..created(&format!("mc.{id}"), message) }
        });
        self.ingest(events.collect()).await;
    }

    async fn direct_gaps(&mut self, session: &str, told_at_ms: i64) -> Vec<(u64, u64)> {
        let request = FindDirectGapsRequest {
            session: session.to_owned(),
            told_at_ms,
            ingestion: "ingestion".to_owned(),
            max_channels: 3,
        };
        let gaps = self.client.find_direct_gaps(request).await.unwrap().into_inner().gaps;
        gaps.iter().map(|DirectGap { channel_id, after }| (*channel_id, *after)).collect()
    }

    async fn note_read_directly(&mut self, channel_id: u64, session: &str, told_at_ms: i64) {
        let session = session.to_owned();
        let request = NoteReadBackRequest { guild_id: 0, session, told_at_ms, channel_id };
        self.client.note_read_back(request).await.unwrap();
    }

    async fn is_read_directly(&mut self, channel_id: u64, session: &str, at: i64) -> bool {
        let session = session.to_owned();
        let request = IsReadBackRequest { guild_id: 0, session, received_at_ms: at, channel_id };
        self.client.is_read_back(request).await.unwrap().into_inner().is_read_back
    }
}

#[tokio::test]
async fn direct_messages_are_read_back_behind_what_is_known_of_them() {
    let [one, two, three] = DIRECT;
    let mut store = Store::new().await;
    store.take_in(&[90]).await;
    assert_eq!(store.direct_gaps("s", LATER).await, [], "a guild's channel is none");
    store.take_in_directly(one, &[3, 5]).await;
    store.take_in_directly(two, &[9]).await;
    store.take_in_directly(three, &[7]).await;
    store.clock.set(ery_clock::UnixMillis(LATER));
    // What the session brought already.
    store.take_in_directly(one, &[11]).await;
    let new = 83 << 22;
    store.take_in_directly(new, &[12]).await;
    // Of what is new, its first words may have been missed.
    let gaps = store.direct_gaps("t", LATER).await;
    let id_at = |at: i64| u64::try_from(at - 1_420_070_400_000).unwrap() << 22;
    let first = (new, id_at(LATER - 15 * 60_000 - 5_000));
    assert_eq!(gaps, [first, (two, 9), (three, 7)], "the latest three");
    store.note_read_directly(new, "t", LATER).await;
    store.note_read_directly(two, "t", LATER).await;
    assert_eq!(store.direct_gaps("t", LATER).await, [(three, 7)], "a repeat goes on");
    assert!(store.is_read_directly(two, "t", LATER + 1).await);
    assert!(!store.is_read_directly(three, "t", LATER + 1).await);
    assert!(store.is_read_directly(one, "t", LATER + 1).await, "nobody waits for what is left out");
}

#[tokio::test]
async fn what_an_earlier_session_left_undone_is_read_back_with_the_next() {
    let [one, ..] = DIRECT;
    let mut store = Store::new().await;
    store.take_in_directly(one, &[3]).await;
    assert_eq!(store.direct_gaps("s", LATER).await, [(one, 3)]);
    // The session's own message, known when the next one begins.
    store.take_in_directly(one, &[8]).await;
    assert_eq!(store.direct_gaps("t", LATER + 60_000).await, [(one, 3)]);
    // The older session's is noted late: the younger one's stands.
    store.note_read_directly(one, "s", LATER).await;
    assert!(!store.is_read_directly(one, "t", LATER + 60_001).await);
    store.note_read_directly(one, "t", LATER + 60_000).await;
    assert!(store.is_read_directly(one, "t", LATER + 60_001).await);
    assert_eq!(store.direct_gaps("u", LATER + 120_000).await, [(one, 8)]);
}

#[tokio::test]
async fn a_new_direct_message_waits_for_nothing_and_for_the_next_session() {
    let [one, ..] = DIRECT;
    let mut store = Store::new().await;
    assert!(store.is_read_directly(one, "s", NOW).await);
    assert!(store.is_read_directly(one, "s", NOW + 90_000).await);
    assert!(!store.is_read_directly(one, "t", NOW + 90_000).await);
}
