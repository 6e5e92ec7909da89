//! Deliberate faults for `make chaos-mutants`, in builds with the feature `mutants` alone.

/// Returns whether the process is to have this fault: it stands in the list `MUTANT`.
#[expect(clippy::disallowed_methods, reason = "it is no setting of the product")]
pub(crate) fn is_on(name: &str) -> bool {
    std::env::var("MUTANT").is_ok_and(|mutants| mutants.split(',').any(|mutant| mutant == name))
}
