//! `policy-host serve`.

use super::{failure::Failure, style::Screen};

/// Serve policies in a policy server's place
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, _: &Screen) -> Result<(), Failure> {
    Ok(())
}
