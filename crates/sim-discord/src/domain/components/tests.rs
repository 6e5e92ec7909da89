use serde_json::{Value, json};

use super::*;

fn errors(refusal: &Refusal) -> Value {
    json!(refusal.body())["errors"].clone()
}

fn button(custom_id: &str) -> Value {
    json!({ "type": 2, "style": 1, "label": "Go", "custom_id": custom_id })
}

fn row(components: impl Into<Value>) -> Value {
    json!({ "type": 1, "components": components.into() })
}

fn select(count: usize) -> Value {
    let options: Vec<Value> =
        (0..count).map(|one| json!({ "label": "x", "value": one.to_string() })).collect();
    json!({ "type": 3, "custom_id": "s", "options": options })
}

#[test]
fn components_come_back_with_ids_and_defaults() {
    let accepted =
        accept(vec![row(json!([button("a"), button("b")])), row(json!([select(2)]))], false, &[])
            .unwrap();
    assert_eq!((&accepted[0]["id"], &accepted[1]["id"]), (&json!(1), &json!(4)));
    assert_eq!(accepted[0]["components"][1]["id"], 3);
    let select = &accepted[1]["components"][0];
    assert_eq!((&select["min_values"], &select["max_values"]), (&json!(1), &json!(1)));
    let mut own = row(json!([button("a")]));
    own["id"] = json!(2);
    let accepted = accept(vec![own, row(json!([button("b")]))], false, &[]).unwrap();
    let ids: Vec<&Value> = accepted.iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&json!(2), &json!(3)]);
    assert_eq!(accepted[0]["components"][0]["id"], 1);
}

#[test]
fn what_is_wrong_is_named_where_it_is() {
    let mut link = button("x");
    link["style"] = json!(5);
    let nameless = json!({ "type": 2, "style": 1, "custom_id": "x" });
    let idless = json!({ "type": 2, "style": 1, "label": "x" });
    let long = json!({ "type": 2, "style": 1, "label": "x".repeat(81), "custom_id": "x" });
    let twice = json!({
        "type": 3, "custom_id": "s",
        "options": [{ "label": "a", "value": "v" }, { "label": "b", "value": "v" }]
    });
    let bounds = json!({ "type": 5, "custom_id": "s", "min_values": 3, "max_values": 2 });
    let six: Vec<Value> = (0..6).map(|one| button(&one.to_string())).collect();
    let table = [
        (vec![row(json!([])); 1], "/components/0/components/_errors"),
        (vec![row(json!(six))], "/components/0/components/_errors"),
        (vec![row(json!([button("a"), select(1)]))], "/components/0/components/_errors"),
        (vec![row(json!([button("a"), button("a")]))], "/components/0/components/1/custom_id"),
        (vec![row(json!([button(&"x".repeat(101))]))], "/components/0/components/0/custom_id"),
        (vec![row(json!([long]))], "/components/0/components/0/label"),
        (vec![row(json!([nameless]))], "/components/0/components/0/label"),
        (vec![row(json!([idless]))], "/components/0/components/0/custom_id"),
        (vec![row(json!([link]))], "/components/0/components/0/url"),
        (vec![row(json!([select(26)]))], "/components/0/components/0/options"),
        (vec![row(json!([select(0)]))], "/components/0/components/0/options"),
        (vec![row(json!([twice]))], "/components/0/components/0/options/1/value"),
        (vec![row(json!([bounds]))], "/components/0/components/0/min_values"),
        (vec![button("a")], "/components/0/type"),
        (vec![json!({ "type": 10, "content": "x" })], "/components/0/type"),
        (vec![json!({})], "/components/0/type"),
        ((0..6).map(|one| row(json!([button(&one.to_string())]))).collect(), "/components/_errors"),
    ];
    for (components, place) in table {
        let refusal = accept(components.clone(), false, &[]).unwrap_err();
        assert_eq!(refusal.code(), 50_035);
        assert!(errors(&refusal).pointer(place).is_some(), "{place}: {}", errors(&refusal));
    }
}

#[test]
fn the_second_version_has_layouts_and_limits_of_its_own() {
    let text = |content: &str| json!({ "type": 10, "content": content });
    let all = vec![
        text("Hello"),
        json!({ "type": 14 }),
        json!({ "type": 9, "components": [text("a")], "accessory": button("x") }),
        json!({ "type": 12, "items": [{ "media": { "url": "attachment://a.png" } }] }),
        json!({ "type": 13, "file": { "url": "attachment://a.png" } }),
        json!({ "type": 17, "components": [text("b"), row(json!([button("y")]))] }),
    ];
    let accepted = accept(all, true, &["a.png".to_owned()]).unwrap();
    assert_eq!((&accepted[1]["spacing"], &accepted[1]["divider"]), (&json!(1), &json!(true)));
    assert_eq!(accepted[5]["accent_color"], Value::Null);
    assert_eq!(with_custom_id(&accepted, "y").unwrap()["type"], 2);
    assert_eq!(with_custom_id(&accepted, "x").unwrap()["type"], 2);
    let wrong = [
        (vec![text(&"x".repeat(2_001)); 2], "/components/_errors"),
        (vec![text("x"); 41], "/components/_errors"),
        (vec![json!({ "type": 9, "components": [text("a")] })], "/components/0/accessory"),
        (
            vec![json!({ "type": 13, "file": { "url": "attachment://b" } })],
            "/components/0/file/url",
        ),
        (
            vec![json!({ "type": 17, "components": [{ "type": 17 }] })],
            "/components/0/components/0/type",
        ),
    ];
    for (components, place) in wrong {
        let refusal = accept(components, true, &[]).unwrap_err();
        assert!(errors(&refusal).pointer(place).is_some(), "{place}: {}", errors(&refusal));
    }
}

#[test]
fn shown_files_get_their_addresses() {
    let mut accepted = accept(
        vec![json!({ "type": 13, "file": { "url": "attachment://a.txt" } })],
        true,
        &["a.txt".to_owned()],
    )
    .unwrap();
    let file = ShownFile {
        id: AttachmentId::new(7),
        filename: "a.txt",
        url: "http://host/a.txt",
        content_type: None,
        size: 5,
    };
    complete_media(&mut accepted, &[file], &mut Mint::default(), ery_clock::UnixMillis(0));
    assert_eq!(accepted[0]["file"]["url"], "http://host/a.txt");
    assert_eq!((&accepted[0]["name"], &accepted[0]["size"]), (&json!("a.txt"), &json!(5)));
}

#[test]
fn a_modal_has_rows_or_labels() {
    let modal = |components: Value| {
        let mut form = Form::new(Map::from_iter([("components".to_owned(), components)]));
        let components = accept_modal(&mut form);
        form.finish().map(|()| components)
    };
    let input = json!({ "type": 4, "custom_id": "a", "style": 1, "label": "Name" });
    let bare = json!({ "type": 4, "custom_id": "b", "style": 2 });
    let label = json!({ "type": 18, "label": "Why", "component": bare });
    let accepted = modal(json!([row(json!([input])), label])).unwrap();
    assert_eq!(accepted[0]["components"][0]["required"], true);
    assert_eq!(with_custom_id(&accepted, "b").unwrap()["style"], 2);
    for wrong in [
        json!([]),
        json!([row(json!([bare]))]),
        json!([row(json!([button("x")]))]),
        json!([{ "type": 18, "label": "x".repeat(46), "component": bare }]),
        json!([label, label]),
        json!([label, label, label, label, label, label]),
    ] {
        assert_eq!(modal(wrong).unwrap_err().code(), 50_035);
    }
}
