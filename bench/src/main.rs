//! `policy-bench`: what a call of the policy takes, beside other modules in the
//! same run. `docs/performance.md` tells the method.

mod cases;
mod measure;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use cases::Case;
use clap::Parser;
use measure::Module;
use policy_host::{CallError, LoadError, Policy};
use serde_json::{Map, Value, json};

/// Measures a policy: time, fuel, memory and patch of each kind of request.
#[derive(Parser)]
struct Arguments {
    /// The modules, as NAME=PATH. The first is the one in question, the others
    /// are measured beside it.
    #[arg(required = true, value_parser = named)]
    modules: Vec<(String, PathBuf)>,
    /// How often each call is timed; 0 for the figures that need no clock.
    #[arg(long, default_value_t = 400)]
    runs: usize,
    /// Write the requests into this folder, for other tools to measure with.
    #[arg(long, value_name = "FOLDER")]
    requests: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Fail if a figure of the first module is over what this file allows.
    #[arg(long, value_name = "FILE")]
    budgets: Option<PathBuf>,
    /// Write the first module's figures, and so many percent, to the budgets.
    #[arg(long, value_name = "PERCENT", requires = "budgets")]
    update: Option<u64>,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=PATH")?;
    Ok((name.to_owned(), path.into()))
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("{0}: {1}")]
    Json(PathBuf, serde_json::Error),
    #[error("over budget:\n  {}", .0.join("\n  "))]
    Budgets(Vec<String>),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("policy-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An `AdmissionRequest` a file, as `kwctl bench` takes it.
fn write_requests(folder: &Path, cases: &[Case]) -> Result<(), Error> {
    let write = |path: &Path, text: &str| {
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, text))
            .map_err(|error| Error::File(path.to_owned(), error))
    };
    for case in cases.iter().filter(|case| case.object.is_some()) {
        let path = folder.join(case.name.replace(' ', "-")).with_extension("json");
        let payload: Value =
            serde_json::from_slice(&case.payload).map_err(|error| Error::Json(path.clone(), error))?;
        write(&path, &payload["request"].to_string())?;
    }
    Ok(())
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let mut modules = Vec::new();
    for (name, path) in &arguments.modules {
        let wasm = fs::read(path).map_err(|error| Error::File(path.clone(), error))?;
        modules.push(Module { name: name.clone(), policy: Policy::from_bytes(&wasm)?, bytes: wasm.len() });
    }
    let cases = cases::all();
    if let Some(folder) = &arguments.requests {
        write_requests(folder, &cases)?;
    }
    let rows = measure::all(&modules, &cases, arguments.runs)?;
    if arguments.json {
        let sizes: Map<String, Value> =
            modules.iter().map(|module| (module.name.clone(), module.bytes.into())).collect();
        println!("{:#}", json!({ "module_bytes": sizes, "rows": rows }));
    } else if arguments.runs > 0 {
        print!("{}", table::of(&modules, &rows));
    }
    let (Some(path), Some(subject)) = (&arguments.budgets, modules.first()) else { return Ok(()) };
    let figures = measure::fixed(subject, &rows);
    if let Some(percent) = arguments.update {
        let allowed = |figure: u64| figure + figure * percent / 100;
        let budgets: Map<String, Value> =
            figures.into_iter().map(|(name, figure)| (name, allowed(figure).into())).collect();
        let text = format!("{:#}\n", Value::Object(budgets));
        return fs::write(path, text).map_err(|error| Error::File(path.clone(), error));
    }
    let text = fs::read_to_string(path).map_err(|error| Error::File(path.clone(), error))?;
    let budgets = serde_json::from_str(&text).map_err(|error| Error::Json(path.clone(), error))?;
    match measure::over(&figures, &budgets) {
        broken if broken.is_empty() => {
            eprintln!("policy-bench: {} figures are within their budgets", figures.len());
            Ok(())
        }
        broken => Err(Error::Budgets(broken)),
    }
}
