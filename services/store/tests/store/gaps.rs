use ery_proto::store::v1::{
    ChannelEnd, FindGapsRequest, Gap, IsReadBackRequest, NoteReadBackRequest,
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
        let request = NoteReadBackRequest { guild_id: GUILD, session, told_at_ms };
        self.client.note_read_back(request).await.unwrap();
    }

    async fn is_read_back(&mut self, session: &str, received_at_ms: i64) -> bool {
        let session = session.to_owned();
        let request = IsReadBackRequest { guild_id: GUILD, session, received_at_ms };
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
