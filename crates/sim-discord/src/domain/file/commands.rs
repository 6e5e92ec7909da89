//! The commands of bots, as they stand in a world file.

use serde_json::{Map, Value, json};

use ery_clock::UnixMillis;

use super::{WorldFileError, wrong};
use crate::{
    domain::{Bot, GuildId, Refusal, UserId, World, change_of},
    form::Form,
    wire::CommandView,
};

/// A command as REST tells it.
pub(super) type CommandFile = Map<String, Value>;

impl World {
    pub(super) fn command_files(&self, bot: &Bot) -> Vec<CommandFile> {
        let commands = self.commands.of_application(bot.application);
        let views = commands.map(|command| json!(CommandView::new(command, true)));
        views
            .filter_map(|view| match view {
                Value::Object(fields) => Some(fields),
                _ => None,
            })
            .collect()
    }

    pub(super) fn load_command_file(
        &mut self,
        bot: UserId,
        fields: CommandFile,
        now: UnixMillis,
    ) -> Result<(), WorldFileError> {
        let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
        let place = format!("the command `{name}` of bot {bot}");
        let refused = |refusal: Refusal| {
            let told = json!(refusal.body());
            let detail = told.get("errors").map(|errors| format!(": {errors}")).unwrap_or_default();
            wrong(place.clone(), format!("{refusal}{detail}"))
        };
        let mut form = Form::new(fields);
        let guild: Option<GuildId> = form.id("guild_id");
        let version = form.id("version");
        let change = change_of(&mut form);
        // Told, not read.
        if let Some(unknown) = form.keys().iter().find(|key| *key != "application_id") {
            return Err(wrong(place.clone(), format!("`{unknown}` is unknown")));
        }
        form.finish().map_err(refused)?;
        let application = self.bot(bot).map_or(bot.cast(), |bot| bot.application);
        let scope = self.command_scope(bot, application, guild).map_err(refused)?;
        self.load_command(scope, change, version, now).map_err(refused)
    }
}
