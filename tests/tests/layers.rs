//! Who may import whom, and which crates may come in: read from `cargo metadata`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What is built on the platform that we ship for; needs no network once it is built.
fn metadata() -> Metadata {
    let options = ["--filter-platform", "x86_64-unknown-linux-gnu", "--offline", "--locked"];
    MetadataCommand::new().other_options(options.map(str::to_owned)).exec().unwrap()
}

/// The layers, from the top; a crate may import from lower ones only.
fn layer(name: &str) -> Option<u8> {
    Some(match name {
        "ery" | "ery-tests" => 0,
        "ery-gateway" | "ery-orchestrator" | "ery-ai-service" | "ery-tool-service"
        | "ery-store" | "ery-console" => 1,
        "ery-cluster" | "ery-embedded" => 2,
        "ery-settings" | "ery-telemetry" | "ery-lifecycle" | "ery-community-config" => 3,
        "ery-rpc" => 4,
        // The last four import nothing of ours but vocabulary, whoever uses them.
        "ery-channel-queue"
        | "ery-event-bus"
        | "ery-membership"
        | "ery-budgets"
        | "ery-sim-discord"
        | "ery-discord-contract"
        | "ery-test-servers"
        | "ery-enclosures" => 5,
        "ery-ids" | "ery-clock" | "ery-proto" | "ery-group-commit" | "ery-texts" | "ery-trace" => 6,
        _ => return None,
    })
}

/// Services choose no adapter and know no other service; adapters know no process crate.
fn may_import(importer: &str, target: &str) -> bool {
    let (Some(from), Some(to)) = (layer(importer), layer(target)) else { return false };
    let is_for_tests =
        matches!(target, "ery-sim-discord" | "ery-discord-contract" | "ery-test-servers");
    match from {
        0 => true,
        1 => to > 2 && !is_for_tests,
        // It asks the store, by its calls.
        3 => importer == "ery-community-config" && to > 3 && !is_for_tests,
        2 | 4 => to > 4 && !is_for_tests,
        5 => to == 6,
        _ => matches!(target, "ery-ids" | "ery-clock"),
    }
}

fn ours(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

#[test]
fn imports_go_down_only() {
    let metadata = metadata();
    let names: BTreeSet<&str> =
        ours(&metadata).iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in ours(&metadata) {
        assert!(
            layer(&package.name).is_some(),
            "{} stands in no layer: give it one here",
            package.name
        );
        for dependency in &package.dependencies {
            let is_ours = names.contains(dependency.name.as_str());
            let is_shipped = dependency.kind == DependencyKind::Normal;
            if is_ours && is_shipped && !may_import(&package.name, &dependency.name) {
                wrong.push(format!("{} imports {}", package.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rules_refuse_what_they_should() {
    for (importer, target) in [
        ("ery-store", "ery-gateway"),
        ("ery-orchestrator", "ery-cluster"),
        ("ery-gateway", "ery-sim-discord"),
        ("ery-sim-discord", "ery-discord-contract"),
        ("ery-ids", "ery-proto"),
        ("ery-channel-queue", "ery-event-bus"),
        ("ery-embedded", "ery-rpc"),
        ("ery-unheard-of", "ery-ids"),
    ] {
        assert!(!may_import(importer, target), "{importer} -> {target}");
    }
}

#[test]
fn every_version_stands_once_in_the_workspace() {
    let metadata = metadata();
    for package in ours(&metadata) {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        let table: toml::Table = manifest.parse().unwrap();
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(kind).and_then(|value| value.as_table()) else {
                continue;
            };
            for (name, value) in dependencies {
                let is_inherited =
                    value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(is_inherited, "{}: `{name}` does not say `workspace = true`", package.name);
            }
        }
    }
}

/// `deny.toml` as far as we hold the build to it ourselves, where cargo-deny is not installed.
struct Rules {
    licenses: BTreeSet<String>,
    banned: BTreeSet<String>,
}

fn rules(metadata: &Metadata) -> Rules {
    let path = metadata.workspace_root.join("deny.toml");
    let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let texts = |value: &toml::Value| {
        let items = value.as_array().unwrap().iter();
        items.map(|item| item.get("name").unwrap_or(item).as_str().unwrap().to_owned()).collect()
    };
    Rules { licenses: texts(&table["licenses"]["allow"]), banned: texts(&table["bans"]["deny"]) }
}

/// The packages in the graph of the binary and of its tests on this platform.
fn built(metadata: &Metadata) -> Vec<&Package> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let by_id: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut reached = BTreeSet::new();
    let mut open: Vec<_> = metadata.workspace_members.iter().collect();
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            open.extend(by_id[id].deps.iter().map(|dependency| &dependency.pkg));
        }
    }
    metadata.packages.iter().filter(|package| reached.contains(&package.id)).collect()
}

#[test]
fn no_banned_crate_comes_in() {
    let metadata = metadata();
    let banned = rules(&metadata).banned;
    assert!(banned.contains("aws-lc-rs"));
    for package in built(&metadata) {
        assert!(!banned.contains(package.name.as_str()), "{} is banned by deny.toml", package.name);
    }
}

#[test]
fn every_crate_is_licensed_and_sourced_as_allowed() {
    let metadata = metadata();
    let allowed = rules(&metadata).licenses;
    for package in built(&metadata) {
        let license = package.license.clone().unwrap_or_default();
        assert!(is_allowed(&license, &allowed), "{}: licence `{license}`", package.name);
        if let Some(source) = &package.source {
            assert!(source.is_crates_io(), "{} comes from {source}", package.name);
        }
    }
}

/// Evaluates an SPDX expression: AND binds tighter than OR; `/` is the old way to write OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = any_of(&tokens, &mut at, allowed);
    result && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut result = all_of(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all_of(tokens, at, allowed);
    }
    result
}

fn all_of(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut result = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(tokens, at, allowed);
    }
    result
}

fn one(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let result = any_of(tokens, at, allowed);
        *at += 1;
        return result;
    }
    let mut name = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&name)
}

#[test]
fn license_expressions_are_read_as_spdx() {
    let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND MIT", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn the_top_level_holds_what_the_design_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in [
        "Cargo.toml",
        "services",
        "proto",
        "migrations",
        "tests",
        "Makefile",
        "crates",
        "docs",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ] {
        assert!(root.join(name).exists(), "{name} is missing");
    }
}
