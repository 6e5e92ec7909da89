//! One request, as an endpoint sees it.

use bytes::Bytes;
use serde_json::{Map, Value};
use twilight_model::id::Id;

use ery_clock::UnixMillis;

use super::{
    answer::Answer,
    form::Form,
    multipart::{self, Part},
};
use crate::{
    domain::{Actor, Effect, Refusal, UserId},
    shared::State,
    wire,
};

/// What was asked, by whom, and the world to answer from.
pub(crate) struct Call<'a> {
    pub(super) state: &'a mut State,
    pub(super) bot: UserId,
    pub(super) now: UnixMillis,
    /// The parts of the path that stand for something, by name.
    pub(super) params: &'a [(&'static str, String)],
    pub(super) query: &'a [(String, String)],
    pub(super) body: &'a Bytes,
    pub(super) content_type: &'a str,
    pub(super) reason: Option<String>,
    /// `ws://host:port`
    pub(super) gateway_url: &'a str,
}

impl Call<'_> {
    pub(super) fn actor(&self) -> Actor {
        Actor::User(self.bot)
    }

    /// Sends what an effect asks for, and returns its result.
    pub(super) fn apply<T>(&mut self, effect: Effect<T>) -> T {
        self.state.apply(effect, self.now)
    }

    pub(super) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Reads an id of the path.
    pub(super) fn id<M>(&self, name: &str) -> Result<Id<M>, Refusal> {
        let text = self.param(name);
        text.parse().ok().and_then(Id::new_checked).ok_or_else(|| not_snowflake(name, text))
    }

    pub(super) fn query_text(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn query_texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads an id of the query. Clients write 0 for "before everything", and no id is as small as 1.
    pub(super) fn query_id<M>(&self, name: &str) -> Result<Option<Id<M>>, Refusal> {
        self.query_text(name).map(|text| query_id(name, text)).transpose()
    }

    pub(super) fn query_ids<M>(&self, name: &str) -> Result<Vec<Id<M>>, Refusal> {
        self.query_texts(name).map(|text| query_id(name, text)).collect()
    }

    pub(super) fn query_flag(&self, name: &str) -> Option<bool> {
        match self.query_text(name)? {
            "true" | "True" | "1" => Some(true),
            _ => Some(false),
        }
    }

    /// Reads a number within bounds.
    pub(super) fn query_number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, Refusal> {
        let Some(text) = self.query_text(name) else { return Ok(default) };
        let number: i64 = text.parse().map_err(|_| {
            let message = format!("Value \"{text}\" is not int.");
            Refusal::field(&[name], "NUMBER_TYPE_COERCE", message)
        })?;
        let (least, most) = (*bounds.start(), *bounds.end());
        match usize::try_from(number) {
            Ok(number) if bounds.contains(&number) => Ok(number),
            Ok(number) if number > most => {
                let message = format!("int value should be less than or equal to {most}.");
                Err(Refusal::field(&[name], "NUMBER_TYPE_MAX", message))
            }
            _ => {
                let message = format!("int value should be greater than or equal to {least}.");
                Err(Refusal::field(&[name], "NUMBER_TYPE_MIN", message))
            }
        }
    }

    /// Reads the body as a JSON object; no body is an empty one.
    pub(super) fn form(&self) -> Result<Form, Refusal> {
        self.form_and_files().map(|(form, _)| form)
    }

    /// Reads the body as a JSON list; null is an empty one.
    pub(super) fn list_body(&self) -> Result<Vec<Value>, Refusal> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Array(list)) => Ok(list),
            Ok(Value::Null) => Ok(Vec::new()),
            Ok(_) => {
                let message = "Only iterables may be used in a ListType";
                Err(Refusal::field(&[], "LIST_TYPE_CONVERT", message))
            }
            Err(_) => Err(Refusal::InvalidJson),
        }
    }

    /// Reads the body as a JSON object, or as a form with one and with files.
    pub(super) fn form_and_files(&self) -> Result<(Form, Vec<Part>), Refusal> {
        if let Some(boundary) = multipart::boundary(self.content_type) {
            let parts = multipart::parts(self.body, boundary).ok_or(Refusal::InvalidJson)?;
            let (payload, files): (Vec<_>, Vec<_>) =
                parts.into_iter().partition(|part| part.filename.is_none());
            let mut fields = Map::new();
            for part in payload {
                if part.name == "payload_json" {
                    fields.extend(object(&part.content)?);
                } else {
                    let text = String::from_utf8_lossy(&part.content).into_owned();
                    fields.insert(part.name, Value::String(text));
                }
            }
            return Ok((Form::new(fields), files));
        }
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok((Form::new(Map::new()), Vec::new()));
        }
        object(self.body).map(|fields| (Form::new(fields), Vec::new()))
    }

    /// Reads the body as a JSON list.
    pub(super) fn list(&self) -> Result<Vec<Value>, Refusal> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Array(list)) => Ok(list),
            Ok(_) => {
                let message = "Only iterables may be used in a ListType";
                Err(Refusal::field(&[], "LIST_TYPE_CONVERT", message))
            }
            Err(_) => Err(Refusal::InvalidJson),
        }
    }

    /// Answers with the guild's member `user`.
    pub(super) fn member_answer(
        &self,
        guild: crate::domain::GuildId,
        user: UserId,
    ) -> Result<Answer, Refusal> {
        let world = &self.state.world;
        let member = world.member(guild, user).ok_or(Refusal::UnknownMember)?;
        Ok(Answer::json(&wire::MemberView::new(world, member)))
    }

    /// Tells how much of messages this bot may read.
    pub(super) fn sight(&self) -> wire::Sight {
        let reads = self.state.world.bot(self.bot).is_some_and(|bot| bot.privileged_intents);
        if reads { wire::Sight::Full } else { wire::Sight::WithoutContent(self.bot) }
    }
}

fn query_id<M>(name: &str, text: &str) -> Result<Id<M>, Refusal> {
    let id: Option<u64> = text.parse().ok();
    id.and_then(|id| Id::new_checked(id.max(1))).ok_or_else(|| not_snowflake(name, text))
}

fn not_snowflake(name: &str, text: &str) -> Refusal {
    let message = format!("Value \"{text}\" is not snowflake.");
    Refusal::field(&[name], "NUMBER_TYPE_COERCE", message)
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => {
            let message = "Only dictionaries may be used in a DictType";
            Err(Refusal::field(&[], "DICT_TYPE_CONVERT", message))
        }
        Err(_) => Err(Refusal::InvalidJson),
    }
}
