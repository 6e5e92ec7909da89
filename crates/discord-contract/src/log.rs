//! A whole log, held to the document.

use serde_json::Value;

use crate::{Contract, Exchange, Requests, Violation};

/// So many violations are told; whoever mends these will see the rest.
const MOST_TOLD: usize = 20;

impl Contract {
    /// Returns everything in a log that the document refuses: JSON lines, as the simulator writes
    /// them.
    ///
    /// # Errors
    ///
    /// A line is no exchange.
    pub fn check_log(
        &self,
        lines: &str,
        requests: Requests,
    ) -> Result<Vec<Violation>, serde_json::Error> {
        let mut violations = Vec::new();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_str(line)?;
            // What was dropped is another test's business.
            if line.get("dropped_before").is_none() {
                let exchange: Exchange = serde_json::from_value(line)?;
                violations.extend(self.check(&exchange, requests));
            }
        }
        Ok(violations)
    }
}

/// Writes violations down, one a line.
pub fn report(violations: &[Violation]) -> String {
    let mut lines: Vec<String> =
        violations.iter().take(MOST_TOLD).map(ToString::to_string).collect();
    if let Some(more) = violations.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}
