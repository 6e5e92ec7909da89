//! The forms in which more is asked for.

use crate::domain::{
    commands::{
        asked::{FORM_REASON, FORM_VALUE, Opened},
        reply::{Field, Form},
    },
    texts::Language,
};

/// How long a reason may be, as the tools take it.
const LONGEST_REASON: u16 = 400;

/// How long a value may be, as Discord's fields take it.
const LONGEST_VALUE: u16 = 4_000;

/// Returns a form as it is shown.
pub(super) fn form(opened: &Opened, language: Language) -> Form {
    let reason = |label: String, is_required: bool| Field {
        custom_id: FORM_REASON,
        label,
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
                longest: LONGEST_VALUE,
                is_required: true,
            };
            (key.clone(), field)
        }
    };
    Form { custom_id: opened.custom_id(), title, fields: vec![field] }
}
