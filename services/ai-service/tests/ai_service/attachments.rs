//! Pictures of messages are fetched and shown to models that take them, and to no others; so are the texts
//! of files.

use axum::{Router, http::header, routing::get};
use ery_ai_service::{ProviderKind, Settings};
use ery_proto::ai::v1::{
    DescribeModelsRequest, Image, MemberMessages, RunModelTurnRequest, TextFile, Turn, turn,
};

use crate::support::{client, fake, run, settings, turn};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

/// Serves pictures and texts, and what is none or is too large.
async fn discord() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let typed = |body: Vec<u8>| async move { ([(header::CONTENT_TYPE, "image/png")], body) };
    let router = Router::new()
        .route("/attachments/1/2/a.png", get(move || typed(PNG.to_vec())))
        .route("/attachments/1/2/page.png", get(move || typed(b"<html>".to_vec())))
        .route(
            "/attachments/1/2/large.png",
            get(move || typed([PNG.to_vec(), vec![0; 5 << 20]].concat())),
        )
        .route("/attachments/1/2/message.txt", get(|| async { "The long word.\nAnd its end." }))
        .route("/attachments/1/2/code.rs", get(|| async { "é".repeat(1 << 20) }))
        .route("/attachments/1/2/wrong.txt", get(|| async { vec![0xff, 0xfe, 0, 1] }));
    #[expect(clippy::disallowed_methods, reason = "it lives as long as the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/attachments/1/2")
}

fn looking(addresses: &[String]) -> RunModelTurnRequest {
    let image = |url: &String| Image {
        message_id: 10,
        media_type: "image/png".into(),
        data: Vec::new(),
        url: url.clone(),
    };
    let images = addresses.iter().map(image).collect();
    asked_with(MemberMessages { images, ..MemberMessages::default() })
}

fn reading(files: &[(String, u32)]) -> RunModelTurnRequest {
    let file = |(url, max_bytes): &(String, u32)| TextFile {
        message_id: 10,
        filename: url.rsplit('/').next().unwrap().to_owned(),
        url: url.clone(),
        max_bytes: *max_bytes,
    };
    let files = files.iter().map(file).collect();
    asked_with(MemberMessages { files, ..MemberMessages::default() })
}

fn asked_with(attached: MemberMessages) -> RunModelTurnRequest {
    let mut request = turn("what is this?");
    request.turns.push(Turn { kind: Some(turn::Kind::Members(attached)) });
    request
}

fn seeing(base_url: &str) -> Settings {
    let files_from = vec!["127.0.0.1".to_owned()];
    Settings { pictures: true, files_from, ..settings(base_url) }
}

#[tokio::test]
async fn pictures_are_fetched_for_a_model_that_takes_them() {
    let discord = discord().await;
    let (fake, base_url) = fake([]).await;
    let mut client = client(&seeing(&base_url));
    let addresses = ["a.png", "page.png", "large.png"].map(|name| format!("{discord}/{name}"));
    run(&mut client, looking(&addresses)).await.unwrap();
    let sent = fake.body(0)["messages"].to_string();
    assert_eq!(sent.matches("data:image/png;base64,iVBORw0K").count(), 1, "{sent}");
    assert!(sent.contains("2 pictures of the messages to be answered cannot be shown"), "{sent}");
    let described = client.describe_models(DescribeModelsRequest {}).await.unwrap().into_inner();
    assert!(described.models[0].takes_pictures);
}

#[tokio::test]
async fn nothing_is_fetched_for_others_or_from_elsewhere() {
    let discord = discord().await;
    let (fake, base_url) = fake([]).await;
    let address = [format!("{discord}/a.png")];
    let blind = Settings { pictures: false, ..seeing(&base_url) };
    let elsewhere = Settings { files_from: vec!["cdn.discordapp.com".into()], ..seeing(&base_url) };
    for (index, settings) in [blind, elsewhere].iter().enumerate() {
        run(&mut client(settings), looking(&address)).await.unwrap();
        let sent = fake.body(index)["messages"].to_string();
        assert!(!sent.contains("base64"), "{sent}");
    }
}

#[tokio::test]
async fn texts_of_files_are_given_to_the_model_as_far_as_they_may() {
    let discord = discord().await;
    let (fake, base_url) = fake([]).await;
    let mut client = client(&seeing(&base_url));
    let named = [("message.txt", 1_000), ("code.rs", 101), ("wrong.txt", 1_000), ("gone.txt", 9)];
    let files = named.map(|(name, max_bytes)| (format!("{discord}/{name}"), max_bytes));
    run(&mut client, reading(&files)).await.unwrap();
    let sent = fake.body(0);
    let sent = sent["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    let whole = r#"{\"file_of\":\"10\",\"filename\":\"message.txt\",\"text\":\"The long word.\\nAnd its end.\"}"#;
    assert!(sent.contains(whole), "{sent}");
    let cut = format!(
        r#"{{\"file_of\":\"10\",\"filename\":\"code.rs\",\"cut\":true,\"text\":\"{}\"}}"#,
        "é".repeat(50),
    );
    assert!(sent.contains(&cut), "{sent}");
    assert!(sent.contains("2 text files of the messages to be answered cannot be shown"), "{sent}");
    let described = client.describe_models(DescribeModelsRequest {}).await.unwrap().into_inner();
    assert!(described.models[0].takes_text_files);
}

#[tokio::test]
async fn no_file_is_read_where_that_is_off_or_nobody_reads() {
    let discord = discord().await;
    let (fake, base_url) = fake([]).await;
    let files = [(format!("{discord}/message.txt"), 1_000)];
    let off = Settings { text_files: false, ..seeing(&base_url) };
    let elsewhere = Settings { files_from: vec!["cdn.discordapp.com".into()], ..seeing(&base_url) };
    for (index, settings) in [off.clone(), elsewhere].iter().enumerate() {
        run(&mut client(settings), reading(&files)).await.unwrap();
        let sent = fake.body(index)["messages"].to_string();
        assert!(!sent.contains("long word"), "{sent}");
    }
    let builtin = Settings { provider: ProviderKind::Builtin, ..seeing(&base_url) };
    for settings in [off, builtin] {
        let described = client(&settings).describe_models(DescribeModelsRequest {}).await.unwrap();
        assert!(!described.into_inner().models[0].takes_text_files);
    }
}
