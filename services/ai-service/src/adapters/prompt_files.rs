use std::{io, path::Path};

use crate::{
    domain::prompts::{PromptProblem, Prompts},
    error::AiError,
};

/// Reads the prompts that stand in a folder; what is not there is as it is built in.
pub(crate) fn read(folder: &Path) -> Result<Prompts, AiError> {
    let mut prompts = Prompts::built_in();
    for name in Prompts::names() {
        let path = folder.join(format!("{name}.txt"));
        let replaced = match std::fs::read_to_string(&path) {
            Ok(file) => prompts.replace(name, &file),
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => Ok(()),
            Err(_) => Err(PromptProblem::Unreadable),
        };
        replaced.map_err(|reason| AiError::Prompt { path, reason })?;
    }
    Ok(prompts)
}
