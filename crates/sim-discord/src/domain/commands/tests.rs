use serde_json::{Value, json};
use twilight_model::id::Id;

use super::*;
use crate::form::Form;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn scope() -> CommandScope {
    CommandScope { application: Id::new(9), guild: None }
}

fn change(body: Value) -> Result<CommandChange, Refusal> {
    let Value::Object(fields) = body else { panic!("{body}") };
    let mut form = Form::new(fields);
    let change = change_of(&mut form);
    form.finish().map(|()| change)
}

fn create(world: &mut World, body: Value) -> Result<Registered, Refusal> {
    world.create_command(scope(), change(body)?, NOW)
}

fn slash(name: &str) -> Value {
    json!({ "name": name, "description": "does it" })
}

fn errors(refusal: &Refusal) -> Value {
    json!(refusal.body())["errors"].clone()
}

#[test]
fn a_command_of_the_same_name_is_overwritten_and_keeps_its_id() {
    let mut world = World::empty();
    let first = create(&mut world, slash("ask")).unwrap();
    let again = json!({ "name": "ask", "description": "does more" });
    let second = create(&mut world, again).unwrap();
    assert_eq!((first.is_new, second.is_new, first.id), (true, false, second.id));
    let user = create(&mut world, json!({ "name": "ask", "type": 2 })).unwrap();
    assert!(user.is_new, "a name is taken for one kind of command only");
    assert_eq!(world.commands.get(scope(), first.id).unwrap().description, "does more");
}

#[test]
fn each_kind_has_its_most() {
    let mut world = World::empty();
    for index in 0..100 {
        create(&mut world, slash(&format!("c{index}"))).unwrap();
    }
    let refusal = create(&mut world, slash("more")).unwrap_err();
    assert_eq!((refusal.code(), refusal.status()), (30_032, 400));
    assert!(!create(&mut world, slash("c5")).unwrap().is_new);
    for index in 0..15 {
        create(&mut world, json!({ "name": format!("Menu {index}"), "type": 3 })).unwrap();
    }
    let refusal = create(&mut world, json!({ "name": "Menu 15", "type": 3 })).unwrap_err();
    assert_eq!(refusal, Refusal::TooManyCommands { most: 15 });
}

#[test]
fn a_day_allows_two_hundred_creates() {
    let mut world = World::empty();
    for index in 0..200 {
        let made = create(&mut world, slash(&format!("c{index}"))).unwrap();
        world.delete_command(scope(), made.id).unwrap();
    }
    let refusal = create(&mut world, slash("more")).unwrap_err();
    assert_eq!((refusal.code(), refusal.status()), (30_034, 429));
    assert_eq!(refusal.retry_after(), Some(DAY));
    let tomorrow = NOW + DAY;
    world.create_command(scope(), change(slash("more")).unwrap(), tomorrow).unwrap();
}

#[test]
fn replacing_all_keeps_the_ids_of_those_that_stay() {
    let mut world = World::empty();
    let set = |world: &mut World, bodies: Vec<Value>| {
        let changes = bodies.into_iter().map(|body| change(body).unwrap()).collect();
        world.set_commands(scope(), changes, NOW)?;
        let all = world.commands.of(scope());
        Ok::<_, Refusal>(all.map(|one| (one.name.clone(), one.id, one.version)).collect::<Vec<_>>())
    };
    let first = set(&mut world, vec![slash("a"), slash("b")]).unwrap();
    let changed = json!({ "name": "b", "description": "other" });
    let second = set(&mut world, vec![slash("a"), changed, slash("c")]).unwrap();
    assert_eq!(second[0], first[0], "what did not change is the same down to its version");
    assert_eq!(second[1].1, first[1].1);
    assert_ne!(second[1].2, first[1].2);
    let renamed = json!({ "id": first[0].1, "name": "z", "description": "does it" });
    let third = set(&mut world, vec![renamed]).unwrap();
    assert_eq!((third.len(), third[0].0.as_str(), third[0].1), (1, "z", first[0].1));
    let refusal = set(&mut world, vec![slash("a"), slash("a")]).unwrap_err();
    let code = &errors(&refusal)["1"]["name"]["_errors"][0]["code"];
    assert_eq!(*code, "APPLICATION_COMMANDS_DUPLICATE_NAME");
    assert_eq!(world.commands.of(scope()).count(), 1, "a list that is refused changes nothing");
}

#[test]
fn an_edit_changes_what_it_says() {
    let mut world = World::empty();
    let body = json!({
        "name": "ask", "description": "does it", "default_member_permissions": "8",
        "options": [{ "type": 3, "name": "what", "description": "x" }]
    });
    let made = create(&mut world, body).unwrap();
    let update = |world: &mut World, body| {
        world.update_command(scope(), made.id, change(body).unwrap(), NOW)
    };
    update(&mut world, json!({ "description": "new" })).unwrap();
    let command = world.commands.get(scope(), made.id).unwrap();
    assert_eq!((command.description.as_str(), command.options.len()), ("new", 1));
    update(&mut world, json!({ "options": [], "default_member_permissions": null })).unwrap();
    let command = world.commands.get(scope(), made.id).unwrap();
    assert_eq!((command.options.len(), command.default_member_permissions), (0, None));
    create(&mut world, slash("other")).unwrap();
    assert!(update(&mut world, json!({ "name": "other" })).is_err());
}

#[test]
fn what_is_wrong_is_named_where_it_is() {
    let option = |kind: u64, name: &str| json!({ "type": kind, "name": name, "description": "x" });
    let with = |options: Value| json!({ "name": "a", "description": "x", "options": options });
    let mut required = option(3, "two");
    required["required"] = json!(true);
    let mut both = option(3, "s");
    both["autocomplete"] = json!(true);
    both["choices"] = json!([{ "name": "n", "value": "v" }]);
    let mut typed = option(4, "i");
    typed["choices"] = json!([{ "name": "n", "value": "v" }]);
    let mut bounds = option(4, "i");
    bounds["min_value"] = json!(5);
    bounds["max_value"] = json!(4);
    let mut group = option(2, "g");
    group["options"] = json!([option(3, "s")]);
    let mut sub = option(1, "g");
    sub["options"] = json!([option(1, "s")]);
    let table = [
        (json!({ "description": "x" }), "/name/_errors"),
        (json!({ "name": "a" }), "/description/_errors"),
        (slash("Ask"), "/name/_errors"),
        (slash("a b"), "/name/_errors"),
        (slash(&"x".repeat(33)), "/name/_errors"),
        (json!({ "name": "a", "description": "x".repeat(101) }), "/description/_errors"),
        (json!({ "name": "a", "description": "x", "type": 2 }), "/description/_errors"),
        (json!({ "name": "a", "description": "x", "type": 7 }), "/type/_errors"),
        (json!({ "name": "a", "description": "x", "contexts": [] }), "/contexts/_errors"),
        (json!({ "name": "a", "description": "x", "contexts": [0, 9] }), "/contexts/1/_errors"),
        (
            json!({ "name": "a", "description": "x", "integration_types": [5] }),
            "/integration_types/0/_errors",
        ),
        (
            json!({ "name": "a", "description": "x", "name_localizations": { "xx": "a" } }),
            "/name_localizations/xx/_errors",
        ),
        (
            json!({ "name": "a", "description": "x", "name_localizations": { "de": "Groß" } }),
            "/name_localizations/de/_errors",
        ),
        (with(json!(vec![option(3, "x"); 26])), "/options/_errors"),
        (with(json!([option(3, "one"), required])), "/options/1/_errors"),
        (with(json!([option(3, "one"), option(3, "one")])), "/options/1/name/_errors"),
        (with(json!([option(3, "one"), option(1, "two")])), "/options/_errors"),
        (with(json!([option(12, "one")])), "/options/0/type/_errors"),
        (with(json!([{ "name": "a", "description": "x" }])), "/options/0/type/_errors"),
        (with(json!([option(3, "Big")])), "/options/0/name/_errors"),
        (with(json!([both])), "/options/0/choices/_errors"),
        (with(json!([typed])), "/options/0/choices/0/value/_errors"),
        (with(json!([bounds])), "/options/0/min_value/_errors"),
        (with(json!([group])), "/options/0/options/0/type/_errors"),
        (with(json!([option(2, "g")])), "/options/0/options/_errors"),
        (with(json!([sub])), "/options/0/options/0/type/_errors"),
        (with(json!(["x"])), "/options/0/_errors"),
    ];
    for (body, place) in table {
        let refusal = create(&mut World::empty(), body.clone()).unwrap_err();
        assert_eq!(refusal.code(), 50_035, "{body}");
        assert!(errors(&refusal).pointer(place).is_some(), "{body}: {}", errors(&refusal));
    }
}

#[test]
fn a_command_has_eight_thousand_characters_at_most() {
    let choices: Vec<Value> = (0..25)
        .map(|index| json!({ "name": format!("{index:0>60}"), "value": format!("{index:0>60}") }))
        .collect();
    let option = |name: &str| json!({ "type": 3, "name": name, "description": "x".repeat(90), "choices": choices });
    let with = |options: Vec<Value>| json!({ "name": "a", "description": "x", "options": options });
    create(&mut World::empty(), with(vec![option("a"), option("b")])).unwrap();
    let refusal =
        create(&mut World::empty(), with(vec![option("a"), option("b"), option("c")])).unwrap_err();
    assert_eq!(errors(&refusal)["_errors"][0]["code"], "APPLICATION_COMMAND_TOO_LARGE");
}
