//! `policy-host`: a Kubewarden policy on a developer's machine.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
