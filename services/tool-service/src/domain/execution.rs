//! One execution of a tool: what makes it happen once.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use ery_clock::UnixMillis;

use super::tool::RetryClass;

/// For how long after its opening a send may be repeated under its nonce.
///
/// Discord keeps nonces "in the past few minutes"; two of them is surely less.
pub(crate) const NONCE_LIFE: Duration = Duration::from_mins(2);

const HEX: &[u8; 16] = b"0123456789abcdef";

/// How long an audit-log reason may be, in characters before its encoding.
const MAX_AUDIT_REASON: usize = 512;

/// Returns the nonce of an execution: 25 characters, the most that Discord takes.
pub(crate) fn nonce(key: &str) -> String {
    let mut nonce = sha256_hex(key);
    nonce.truncate(25);
    nonce
}

/// Returns the id of what an execution leaves to be done later.
pub(crate) fn later_id(key: &str) -> String {
    let mut id = sha256_hex(&format!("later/{key}"));
    id.truncate(16);
    id
}

/// Returns the SHA-256 of a text, in hex.
pub(crate) fn sha256_hex(text: &str) -> String {
    let digits = |byte: u8| [byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)]));
    Sha256::digest(text.as_bytes()).into_iter().flat_map(digits).collect()
}

/// Returns the reason for Discord's audit log: who asked, why, and the execution's key.
pub(crate) fn audit_reason(asker: &str, why: Option<&str>, key: &str) -> String {
    let frame = format!("{asker}: … [{key}]").chars().count();
    let room = MAX_AUDIT_REASON.saturating_sub(frame);
    let text = match why.map(str::trim).filter(|why| !why.is_empty()) {
        Some(why) if why.chars().count() > room => {
            let cut: String = why.chars().take(room).collect();
            format!("{asker}: {cut}… [{key}]")
        }
        Some(why) => format!("{asker}: {why} [{key}]"),
        None => format!("{asker} [{key}]"),
    };
    text.chars().take(MAX_AUDIT_REASON).collect()
}

/// What is to be done about an execution that stands open already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Do it again with the stored arguments, writing no request after this moment.
    Repeat { send_by: UnixMillis },
    /// Look whether it happened.
    LookUp,
}

/// Says how to find out about an execution whose first attempt cannot be under way any more.
pub(crate) fn recover(
    class: RetryClass,
    opened_at: UnixMillis,
    send_within: Duration,
    now: UnixMillis,
) -> Recovery {
    let send_by = now + send_within;
    match class {
        RetryClass::Safe => Recovery::Repeat { send_by },
        RetryClass::Reconcile => Recovery::LookUp,
        RetryClass::Nonce => {
            let forgotten_at = opened_at + NONCE_LIFE;
            if now < forgotten_at {
                Recovery::Repeat { send_by: send_by.min(forgotten_at) }
            } else {
                Recovery::LookUp
            }
        }
    }
}

/// What a person's own message orders, as far as a call equals it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// The order itself.
    pub(crate) act: Value,
    /// How often it stands there: so often it is carried out.
    pub(crate) times: u32,
    /// Its name among the thread's orders.
    pub(crate) hash: String,
}

/// Returns the order that a call equals, if any: the same tool, the same act.
///
/// The reason is no part of the act. What is carried out is the order, word for word, so that
/// nothing of the call that was not ordered gets through.
pub(crate) fn ordered<'a>(
    tool: &str,
    act: &Value,
    orders: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<Ordered> {
    let wanted = without_reason(act.clone());
    let equal: Vec<Value> = orders
        .filter(|(name, _)| *name == tool)
        .filter_map(|(_, arguments)| serde_json::from_str::<Value>(arguments).ok())
        .filter(|order| without_reason(order.clone()) == wanted)
        .collect();
    // Of several the one that gives the same reason.
    let same = equal.iter().find(|order| order.get("reason") == act.get("reason"));
    let times = u32::try_from(equal.len()).unwrap_or(u32::MAX);
    let act = same.or(equal.first())?.clone();
    Some(Ordered { act, times, hash: sha256_hex(&format!("order/{tool}/{wanted}")) })
}

fn without_reason(mut act: Value) -> Value {
    if let Value::Object(fields) = &mut act {
        fields.remove("reason");
    }
    act
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: UnixMillis = UnixMillis(1_000_000);
    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn a_nonce_fits_discord_and_names_its_execution() {
        let one = nonce("t/a/1/0");
        assert_eq!(one.len(), 25);
        assert_eq!(one, nonce("t/a/1/0"));
        assert_ne!(one, nonce("t/a/1/1"));
    }

    #[test]
    fn the_hash_is_sha_256() {
        assert_eq!(
            sha256_hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn an_audit_reason_always_names_asker_and_key() {
        let key = "t/0190a1b2-0000-7000-8000-000000000000/3/1";
        let long = "ä".repeat(2_000);
        for why in [None, Some(""), Some("spam"), Some(long.as_str())] {
            let reason = audit_reason("42", why, key);
            assert!(reason.chars().count() <= 512, "{}", reason.chars().count());
            assert!(reason.starts_with("42") && reason.contains(key), "{reason}");
        }
        assert_eq!(audit_reason("42", Some("spam"), "k"), "42: spam [k]");
    }

    #[test]
    fn a_send_is_repeated_only_while_its_nonce_is_known() {
        let soon = OPENED + Duration::from_secs(30);
        assert_eq!(
            recover(RetryClass::Nonce, OPENED, TEN, soon),
            Recovery::Repeat { send_by: soon + TEN }
        );
        let late = OPENED + Duration::from_secs(115);
        assert_eq!(
            recover(RetryClass::Nonce, OPENED, TEN, late),
            Recovery::Repeat { send_by: OPENED + NONCE_LIFE },
            "no request is written after the nonce is forgotten"
        );
        let later = OPENED + NONCE_LIFE;
        assert_eq!(recover(RetryClass::Nonce, OPENED, TEN, later), Recovery::LookUp);
        assert_eq!(recover(RetryClass::Reconcile, OPENED, TEN, soon), Recovery::LookUp);
        assert_eq!(
            recover(RetryClass::Safe, OPENED, TEN, later),
            Recovery::Repeat { send_by: later + TEN }
        );
    }

    #[test]
    fn an_order_covers_the_same_act_and_nothing_else() {
        let act = serde_json::json!({"member": "7", "duration_seconds": 600, "reason": "x"});
        let order = r#"{"duration_seconds":600,"member":"7"}"#;
        let found = ordered("timeout_member", &act, [("timeout_member", order)].into_iter());
        let found = found.unwrap();
        assert_eq!(found.act, serde_json::json!({"member": "7", "duration_seconds": 600}));
        assert_eq!(found.times, 1);
        let twice = [("timeout_member", order), ("ban_member", order), ("timeout_member", order)];
        let again = ordered("timeout_member", &act, twice.into_iter()).unwrap();
        assert_eq!((again.times, again.hash), (2, found.hash));
        for (tool, order) in [
            ("ban_member", order),
            ("timeout_member", r#"{"duration_seconds":601,"member":"7"}"#),
            ("timeout_member", r#"{"duration_seconds":600,"member":"8"}"#),
            ("timeout_member", r#"{"duration_seconds":600}"#),
            ("timeout_member", "no json"),
        ] {
            assert_eq!(ordered("timeout_member", &act, [(tool, order)].into_iter()), None);
        }
    }
}
