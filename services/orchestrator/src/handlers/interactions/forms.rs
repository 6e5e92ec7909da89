//! The forms in which more is asked for.

use std::time::Duration;

use tokio::time::timeout;

use super::{config, report, warn};
use crate::{
    domain::{
        commands::{
            asked::{FORM_REASON, FORM_VALUE, Opened},
            interaction::Interaction,
            reply::{Field, First, Form, Message},
        },
        texts::Language,
    },
    error::CallError,
    handlers::holder::Holder,
};

/// How long a reason may be, as the tools take it.
const LONGEST_REASON: u16 = 400;

/// How long a value may be, as Discord's fields take it.
const LONGEST_VALUE: u16 = 4_000;

/// How long finding out may take whether a form is of use: it is a first answer, for which Discord waits
/// three seconds. What is not known by then is found out when the form is sent off.
const FOUND_WITHIN: Duration = Duration::from_millis(1_500);

/// Returns a form as it is shown; in its place why it could only be refused.
pub(super) async fn opened(holder: &Holder, it: &Interaction, opened: &Opened) -> First {
    let begun = timeout(FOUND_WITHIN, begun(holder, it, opened)).await;
    let value = match begun {
        Ok(Ok(Err(refused))) => return First::Whisper(refused),
        Ok(Ok(Ok(value))) => value,
        Ok(Err(_)) | Err(_) => String::new(),
    };
    First::Form(form(opened, it.language, value))
}

/// Returns what stands in the form at first, or what is answered in its place.
async fn begun(
    holder: &Holder,
    it: &Interaction,
    opened: &Opened,
) -> Result<Result<String, Message>, CallError> {
    match opened {
        Opened::Value { key, place } => config::writing::begun(holder, it, (key, *place)).await,
        Opened::Warning { member } => Ok(match warn::refused(it, *member) {
            Some(refused) => Err(refused),
            None => Ok(String::new()),
        }),
        Opened::Report { .. } => Ok(match report::refused(holder, it).await? {
            Some(refused) => Err(refused),
            None => Ok(String::new()),
        }),
    }
}

fn form(opened: &Opened, language: Language, value: String) -> Form {
    let reason = |label: String, is_required: bool| Field {
        custom_id: FORM_REASON,
        label,
        value: String::new(),
        longest: LONGEST_REASON,
        is_required,
    };
    let (title, field) = match opened {
        Opened::Warning { .. } => {
            (language.word("warn-form"), reason(language.word("warn-form-reason"), false))
        }
        Opened::Report { .. } => {
            (language.word("report-form"), reason(language.word("report-form-reason"), true))
        }
        Opened::Value { key, .. } => {
            let field = Field {
                custom_id: FORM_VALUE,
                label: language.word("ery-value-form"),
                value,
                longest: LONGEST_VALUE,
                is_required: true,
            };
            (key.clone(), field)
        }
    };
    Form { custom_id: opened.custom_id(), title, fields: vec![field] }
}
