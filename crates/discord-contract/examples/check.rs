//! Holds a simulator's log to Discord's document: `check FILE`, as written by `GET /sim/v1/log`.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use ery_discord_contract::{Requests, contract};

fn main() -> io::Result<ExitCode> {
    let mut out = io::stdout();
    let Some(path) = std::env::args().nth(1) else {
        writeln!(out, "usage: check FILE")?;
        return Ok(ExitCode::FAILURE);
    };
    let Some(contract) = contract() else { return Ok(ExitCode::FAILURE) };
    let violations = contract.check_log(&std::fs::read_to_string(path)?, Requests::All)?;
    for violation in &violations {
        writeln!(out, "{violation}")?;
    }
    writeln!(out, "{} violations", violations.len())?;
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
