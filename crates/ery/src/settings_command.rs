use std::io::Write as _;

use ery_settings::Sources;

use crate::{cli::SettingsCommand, failure::Failure, settings::Settings};

/// Checks or shows the settings.
pub(crate) fn run(command: SettingsCommand, sources: &Sources) -> Result<(), Failure> {
    let settings = Settings::load(sources)?;
    let text = match command {
        SettingsCommand::Check => "the settings are right\n".to_owned(),
        SettingsCommand::Show => toml::to_string(&settings)
            .map_err(|error| Failure::caused("could not write the settings out", &error))?,
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::caused("could not write to standard output", &error))
}
