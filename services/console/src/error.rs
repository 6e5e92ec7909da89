use ery_settings::InvalidSetting;

/// Why the console cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    #[error("the listener of the console failed")]
    Listener(#[from] std::io::Error),
}
