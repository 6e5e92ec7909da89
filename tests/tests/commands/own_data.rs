//! `/privacy`: a copy, the deletion and the opt-out, each for themselves.

use std::{io::Read as _, time::Duration};

use serde_json::{Value, json};

use ery_tests::eventually;

use crate::Stand;

fn privacy(command: &str, place: &str) -> Value {
    json!({
        "type": "command", "command": format!("privacy {command}"), "options": { "where": place },
    })
}

/// Returns the files of an archive, by their names.
fn files(archive: &[u8]) -> Vec<(String, String)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let (mut text, name) = (String::new(), file.name().unwrap().into_owned());
            file.read_to_string(&mut text).unwrap();
            (name, text)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_a_copy_opts_out_and_is_forgotten() {
    let stand = Stand::start(&[]).await;
    let (alice, general) = (stand.member("alice"), stand.channel("general"));
    stand.sim.say(general, alice, "my boat is called zanzibarra").await.unwrap();
    stand.sim.say(general, stand.member("bob"), "mine is called kilimatinde").await.unwrap();
    let user = ["privacy", "delete", "--user", alice];
    eventually("both are taken in", Duration::from_secs(20), async || {
        let counts = stand.ctl(&user).await;
        let counted = counts.as_array().unwrap().iter();
        let mut messages = counted.filter(|it| it["kind"] == "messages");
        Ok(messages.any(|it| it["rows"].as_u64() > Some(0)).then_some(()))
    })
    .await
    .unwrap();

    let begun = stand.begin("alice", &privacy("export", "server")).await;
    let answer = stand.end_of(&begun).await;
    assert!(answer["content"].as_str().unwrap().contains("kept of you"), "{answer}");
    let url = answer["attachments"][0]["url"].as_str().unwrap();
    let archive = ery_tests::http_client().get(url).send().await.unwrap().bytes().await.unwrap();
    let files = files(&archive);
    let holds = |word: &str| files.iter().any(|(_, text)| text.contains(word));
    assert!(holds("zanzibarra") && !holds("kilimatinde"));
    assert!(files.iter().any(|(name, _)| name == "manifest.json"));

    assert!(
        stand.told("alice", &privacy("opt-out", "everywhere")).await.contains("Nothing is learnt")
    );
    let preferences = stand.ctl(&["privacy", "preferences", "--user", alice]).await;
    assert_eq!(preferences[0]["is_opted_out"], true);

    let asked = stand.begin("alice", &privacy("delete", "everywhere")).await;
    let shown = stand.end_of(&asked).await;
    assert!(shown["content"].as_str().unwrap().contains("no way back"), "{shown}");
    assert_eq!(stand.ctl(&["privacy", "list", "--user", alice]).await, json!([]));
    let button = &shown["components"][0]["components"][0];
    let pressed = json!({
        "type": "button", "message_id": shown["id"], "custom_id": button["custom_id"],
    });
    assert!(stand.told("alice", &pressed).await.contains("being forgotten"));
    eventually("it is forgotten", Duration::from_secs(20), async || {
        let deletions = stand.ctl(&["privacy", "list", "--user", alice]).await;
        let state = deletions[0]["state"].as_str().unwrap_or_default().to_owned();
        Ok((state == "erased" || state == "confirmed").then_some(()))
    })
    .await
    .unwrap();
}
