//! The command line.

// Backticks would show up in the help texts.
#![allow(clippy::doc_markdown)]

mod against;
mod diff;
mod failure;
mod input;
mod run;
mod serve;
mod settings;
mod style;
mod summary;

use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use self::{failure::Failure, style::Screen};

const EXAMPLES: &str = "\
Examples:
  Show what the policy does with a pod:
      policy-host run policy.wasm -r pod.yaml
  The same in a few lines, for every object of a chart:
      helm template web ./chart | policy-host run policy.wasm -r - -o summary
  Print what kwctl prints, for an AdmissionRequest or AdmissionReview:
      policy-host run policy.wasm -r request.json --settings-json '{\"default\": true}'
  Validate settings, from a file or a policy's manifest, and translate the values
  of Consul's Helm chart:
      policy-host settings settings.yaml
      policy-host settings --from-helm values.yaml >settings.yaml
  Serve policies to the API server of a test cluster:
      policy-host serve --policies policies.yml --cert-file tls.crt --key-file tls.key

Exit status:
  0  success; also if the policy rejected         5  the file is not a policy
  1  invalid settings, and other errors           6  the policy trapped
  2  wrong usage of this command                  7  the policy returned an error
  3  a file cannot be read                        8  the policy timed out
  4  invalid JSON or YAML, or not a request       9  rejected, with --fail-on-rejection
  10 unknown keys in a values file; they are omitted from the settings
  11 a pod differs from the webhook's for an unknown reason";

/// Runs a Kubewarden policy on this machine, as the policy server would.
#[derive(Debug, Parser)]
#[command(name = "policy-host", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    /// Verbose output: the policy's debug lines, and the source of each line
    #[arg(short, long, global = true, help_heading = "Output", display_order = 100)]
    verbose: bool,

    /// When to use colors; NO_COLOR is respected
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    #[arg(help_heading = "Output", display_order = 101)]
    color: Color,

    /// The same as --color never
    #[arg(long, global = true, action = ArgAction::SetTrue, conflicts_with = "color")]
    #[arg(help_heading = "Output", display_order = 102)]
    no_color: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    /// If the output is a terminal
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Serve(serve::Args),
    Settings(settings::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let color = match (cli.no_color, cli.color) {
        (true, _) | (_, Color::Never) => anstream::ColorChoice::Never,
        (_, Color::Always) => anstream::ColorChoice::Always,
        (_, Color::Auto) => anstream::ColorChoice::Auto,
    };
    color.write_global();
    let screen = Screen::detect(cli.verbose);
    let result = match cli.command {
        Command::Run(args) => run::run(&args, &screen),
        Command::Serve(args) => serve::run(&args, &screen),
        Command::Settings(args) => settings::run(&args, &screen),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

impl From<std::io::Error> for Failure {
    /// Only for errors when writing to standard output: every other error has a context.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            // The reader closed the pipe, as `| head` does.
            Self::silent()
        } else {
            Self::other(format!("cannot write the output: {error}"))
        }
    }
}
