//! What can be set about guilds and channels, and moving and banning many at once.

use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, Intents};

use crate::support::{Bot, Sim, code};

/// Bits that Ery has not from the start.
const MANAGE_GUILD: u64 = 1 << 5;

impl Sim {
    fn place(&self) -> String {
        format!("/guilds/{}", self.guild())
    }

    /// Gives everybody further rights.
    pub(crate) async fn grant(&self, bits: u64) {
        let guild = self.guild();
        let everyone = format!("/guilds/{guild}/roles/{guild}");
        let role = self.rest(Method::GET, &everyone, Value::Null).await.1;
        let before: u64 = role["permissions"].as_str().unwrap().parse().unwrap();
        let body = json!({ "permissions": (before | bits).to_string() });
        let role = format!("/roles/{guild}/{guild}");
        assert_eq!(self.control(Method::PATCH, &role, body).await.0, 200);
    }

    async fn audit_actions(&self) -> Vec<u64> {
        let log = format!("{}/audit-logs", self.place());
        let log = self.rest(Method::GET, &log, Value::Null).await.1;
        let entries = log["audit_log_entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["action_type"].as_u64().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_guild_is_changed_by_those_who_manage_it() {
    let sim = Sim::start().await;
    let place = sim.place();
    let change = json!({
        "name": "Café", "description": "By the water", "verification_level": 3,
        "system_channel_id": sim.channel("off-topic"), "afk_timeout": 900,
        "public_updates_channel_id": sim.channel("staff")
    });
    assert_eq!(code(&sim.rest(Method::PATCH, &place, change.clone()).await), (403, 50_013));
    sim.grant(MANAGE_GUILD).await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let (status, guild) = sim.rest(Method::PATCH, &place, change.clone()).await;
    assert_eq!(status, 200, "{guild}");
    for (key, value) in change.as_object().unwrap() {
        assert_eq!(guild[key], *value, "{key}");
    }
    bot.wait_for(|event| matches!(event, Event::GuildUpdate(it) if it.name == "Café")).await;
    assert_eq!(sim.audit_actions().await, [1]);
    for wrong in [
        json!({ "name": "x" }),
        json!({ "verification_level": 5 }),
        json!({ "afk_timeout": 61 }),
        json!({ "system_channel_id": "77" }),
        json!({ "description": "x".repeat(301) }),
    ] {
        assert_eq!(
            code(&sim.rest(Method::PATCH, &place, wrong.clone()).await),
            (400, 50_035),
            "{wrong}"
        );
    }
    // The channels for rules and for Discord's updates cannot be deleted.
    for channel in ["welcome", "staff"] {
        let channel = format!("/channels/{}", sim.channel(channel));
        assert_eq!(code(&sim.rest(Method::DELETE, &channel, Value::Null).await), (400, 50_074));
    }
    let preview = sim.rest(Method::GET, &format!("{place}/preview"), Value::Null).await.1;
    assert_eq!(
        (&preview["name"], &preview["approximate_member_count"]),
        (&json!("Café"), &json!(8))
    );
    let own = format!("/users/@me/guilds/{}/member", sim.guild());
    assert_eq!(sim.rest(Method::GET, &own, Value::Null).await.1["user"]["username"], "Ery");
    let regions = sim.rest(Method::GET, "/voice/regions", Value::Null).await;
    assert!(!regions.1.as_array().unwrap().is_empty());
    let told = sim.get("/world").await;
    assert_eq!(sim.again_from(&told).await.get("/world").await, told);
}

#[tokio::test]
async fn many_are_banned_at_once_and_it_is_told_who_was_not() {
    let sim = Sim::start().await;
    let path = format!("{}/bulk-ban", sim.place());
    let (bob, zoe, mara) = (sim.user("bob"), sim.user("zoe"), sim.user("mara"));
    let body = json!({ "user_ids": [bob, zoe, mara, "77"], "delete_message_seconds": 3600 });
    assert_eq!(code(&sim.rest(Method::POST, &path, body.clone()).await), (403, 50_013));
    sim.grant(MANAGE_GUILD).await;
    let (status, done) = sim.rest(Method::POST, &path, body.clone()).await;
    assert_eq!((status, &done["banned_users"]), (200, &json!([bob, zoe])));
    assert_eq!(done["failed_users"], json!([mara, "77"]));
    assert_eq!(sim.audit_actions().await, [22, 22]);
    assert_eq!(code(&sim.rest(Method::POST, &path, body).await), (400, 500_000));
    let none = json!({ "user_ids": [] });
    assert_eq!(code(&sim.rest(Method::POST, &path, none).await), (400, 50_035));
}

#[tokio::test]
async fn roles_and_channels_are_moved_together() {
    let sim = Sim::start().await;
    let roles = format!("{}/roles", sim.place());
    let all = sim.rest(Method::GET, &roles, Value::Null).await.1;
    let named = |name: &str| {
        let roles = all.as_array().unwrap().iter();
        roles.clone().find(|role| role["name"] == name).unwrap()["id"].clone()
    };
    let swap = json!([
        { "id": named("Muted"), "position": 2 }, { "id": named("Member"), "position": 1 }
    ]);
    let (status, moved) = sim.rest(Method::PATCH, &roles, swap).await;
    let muted = moved.as_array().unwrap().iter().find(|role| role["name"] == "Muted").unwrap();
    assert_eq!((status, &muted["position"]), (200, &json!(2)));
    for (body, expected) in [
        (json!([{ "id": named("Moderator"), "position": 1 }]), (403, 50_013)),
        (json!([{ "id": named("Member"), "position": 3 }]), (403, 50_013)),
        (json!([{ "id": "77", "position": 1 }]), (404, 10_011)),
        (json!([{ "position": 1 }]), (400, 50_035)),
    ] {
        assert_eq!(code(&sim.rest(Method::PATCH, &roles, body.clone()).await), expected, "{body}");
    }

    let channels = format!("{}/channels", sim.place());
    let rooms = json!({ "name": "rooms", "type": 4 });
    let rooms = sim.rest(Method::POST, &channels, rooms).await.1;
    let general = sim.channel("general");
    let body = json!([
        { "id": general, "position": 9, "parent_id": rooms["id"], "lock_permissions": true }
    ]);
    assert_eq!(sim.rest(Method::PATCH, &channels, body).await.0, 204);
    let shown = sim.rest(Method::GET, &format!("/channels/{general}"), Value::Null).await.1;
    assert_eq!((&shown["position"], &shown["parent_id"]), (&json!(9), &rooms["id"]));
    assert_eq!(shown["permission_overwrites"], json!([]));
    let unknown = json!([{ "id": "77", "position": 1 }]);
    assert_eq!(code(&sim.rest(Method::PATCH, &channels, unknown).await), (404, 10_003));
}

#[tokio::test]
async fn channels_have_what_their_kind_has() {
    let sim = Sim::start().await;
    let channels = format!("{}/channels", sim.place());
    let voice = json!({ "name": "talk", "type": 2, "bitrate": 32_000, "user_limit": 5 });
    let voice = sim.rest(Method::POST, &channels, voice).await.1;
    assert_eq!((&voice["bitrate"], &voice["user_limit"]), (&json!(32_000), &json!(5)));
    let path = format!("/channels/{}", voice["id"].as_str().unwrap());
    let edit = json!({ "user_limit": 0, "rtc_region": "japan", "video_quality_mode": 2 });
    let edited = sim.rest(Method::PATCH, &path, edit).await.1;
    assert_eq!((&edited["user_limit"], &edited["rtc_region"]), (&json!(0), &json!("japan")));
    for wrong in
        [json!({ "bitrate": 7_999 }), json!({ "bitrate": 96_001 }), json!({ "user_limit": 100 })]
    {
        assert_eq!(code(&sim.rest(Method::PATCH, &path, wrong).await), (400, 50_035));
    }
    assert_eq!(code(&sim.rest(Method::PATCH, &path, json!({ "type": 0 })).await), (400, 50_035));

    let general = format!("/channels/{}", sim.channel("general"));
    let news = json!({ "type": 5, "default_auto_archive_duration": 60 });
    let news = sim.rest(Method::PATCH, &general, news).await.1;
    assert_eq!((&news["type"], &news["default_auto_archive_duration"]), (&json!(5), &json!(60)));
    let messages = format!("{general}/messages");
    let said = sim.rest(Method::POST, &messages, json!({ "content": "News" })).await.1;
    let publish = format!("{general}/messages/{}/crosspost", said["id"].as_str().unwrap());
    assert_eq!(sim.rest(Method::POST, &publish, Value::Null).await.1["flags"], 1);
    assert_eq!(code(&sim.rest(Method::POST, &publish, Value::Null).await), (400, 40_033));
    let thread = format!("{general}/messages/{}/threads", said["id"].as_str().unwrap());
    let thread = sim.rest(Method::POST, &thread, json!({ "name": "about it" })).await.1;
    assert_eq!(thread["type"], 10);
    assert_eq!(thread["thread_metadata"]["auto_archive_duration"], 60);
}

#[tokio::test]
async fn overwrites_are_set_by_those_who_have_the_bits_and_leave_a_trace() {
    let sim = Sim::start().await;
    let channels = format!("{}/channels", sim.place());
    let overwrite = |bit: u64| {
        json!([
            { "id": sim.guild(), "type": 0, "allow": "0", "deny": (1_u64 << bit).to_string() }
        ])
    };
    let body = json!({ "name": "quiet", "permission_overwrites": overwrite(11) });
    let (status, made) = sim.rest(Method::POST, &channels, body).await;
    assert_eq!((status, &made["permission_overwrites"][0]["deny"]), (201, &json!("2048")));
    // Priority speaking is none of Ery's rights, and managing roles is for administrators.
    for bit in [8, 28] {
        let body = json!({ "name": "x", "permission_overwrites": overwrite(bit) });
        assert_eq!(code(&sim.rest(Method::POST, &channels, body).await), (403, 50_013), "{bit}");
    }
    let path = format!("/channels/{}", made["id"].as_str().unwrap());
    let edit = json!({ "permission_overwrites": overwrite(6) });
    assert_eq!(sim.rest(Method::PATCH, &path, edit).await.0, 200);
    let none = json!({ "permission_overwrites": [] });
    assert_eq!(sim.rest(Method::PATCH, &path, none).await.0, 200);
    assert_eq!(sim.audit_actions().await, [15, 14, 10]);

    // In a category a channel takes what that says.
    let rooms = json!({ "name": "rooms", "type": 4, "permission_overwrites": overwrite(11) });
    let rooms = sim.rest(Method::POST, &channels, rooms).await.1;
    let inside = json!({ "name": "inside", "parent_id": rooms["id"] });
    let inside = sim.rest(Method::POST, &channels, inside).await.1;
    assert_eq!(inside["permission_overwrites"], rooms["permission_overwrites"]);
}
