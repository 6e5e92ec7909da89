//! Pictures of messages are fetched and shown to models that take them, and to no others.

use axum::{Router, http::header, routing::get};
use ery_ai_service::Settings;
use ery_proto::ai::v1::{
    DescribeModelsRequest, Image, MemberMessages, RunModelTurnRequest, Turn, turn,
};

use crate::support::{client, fake, run, settings, turn};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

/// Serves a picture, one that is none, and one that is too large.
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
        );
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
    let kind = turn::Kind::Members(MemberMessages { messages: Vec::new(), images });
    let mut request = turn("what is this?");
    request.turns.push(Turn { kind: Some(kind) });
    request
}

fn seeing(base_url: &str) -> Settings {
    let pictures_from = vec!["127.0.0.1".to_owned()];
    Settings { pictures: true, pictures_from, ..settings(base_url) }
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
    let elsewhere =
        Settings { pictures_from: vec!["cdn.discordapp.com".into()], ..seeing(&base_url) };
    for (index, settings) in [blind, elsewhere].iter().enumerate() {
        run(&mut client(settings), looking(&address)).await.unwrap();
        let sent = fake.body(index)["messages"].to_string();
        assert!(!sent.contains("base64"), "{sent}");
    }
}
