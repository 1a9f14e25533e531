//! `policy-host completions`.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, failure::Failure};

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  policy-host completions bash >~/.local/share/bash-completion/completions/policy-host
  policy-host completions zsh >\"${fpath[1]}/_policy-host\"
  policy-host completions fish >~/.config/fish/completions/policy-host.fish")]
pub struct Args {
    /// The shell
    shell: Shell,
}

#[allow(clippy::unnecessary_wraps)] // As every command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "policy-host", &mut script);
    io::Write::write_all(&mut io::stdout(), &script)?;
    Ok(())
}
