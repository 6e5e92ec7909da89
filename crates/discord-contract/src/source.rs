//! Where the document is found, and what happens where it is not.

use std::{
    env::var_os,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use crate::Contract;

/// The file with the document.
const FILE: &str = "ERY_TEST_OPENAPI_FILE";
/// Whether there has to be one: `require`.
const DEMAND: &str = "ERY_TEST_OPENAPI";
/// Beside the repository, seen from this crate.
const BESIDE: &str = "../../../shared/discord/openapi.json";

/// Returns the document that the environment names, opened once in each process.
///
/// `None`: there is none, and none is demanded; that is said once.
///
/// # Panics
///
/// If it is demanded and missing, or cannot be read.
pub fn contract() -> Option<Arc<Contract>> {
    static CONTRACT: OnceLock<Option<Arc<Contract>>> = OnceLock::new();
    CONTRACT
        .get_or_init(|| {
            let named = var_os(FILE).map(PathBuf::from);
            let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(BESIDE));
            let is_demanded = var_os(DEMAND).is_some_and(|value| value == "require");
            find(&path, is_demanded)
        })
        .clone()
}

fn find(path: &Path, is_demanded: bool) -> Option<Arc<Contract>> {
    if !path.exists() {
        assert!(
            !is_demanded,
            "{DEMAND}=require, but there is no {}: {FILE} says where Discord's document is",
            path.display()
        );
        eprintln!("Discord's contract is not checked: there is no {}", path.display());
        return None;
    }
    match Contract::open(path) {
        Ok(contract) => Some(Arc::new(contract)),
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_document_is_skipped_unless_it_is_demanded() {
        let missing = Path::new("no/such/openapi.json");
        assert!(find(missing, false).is_none());
        let refused = std::panic::catch_unwind(|| find(missing, true)).unwrap_err();
        let words = refused.downcast_ref::<String>().unwrap();
        assert!(words.contains("no/such/openapi.json"), "{words}");
    }

    #[test]
    #[should_panic(expected = "is no JSON")]
    fn a_file_that_is_something_else_is_never_skipped() {
        find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"), false);
    }
}
