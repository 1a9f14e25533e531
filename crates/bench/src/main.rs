//! `policy-bench`: measures calls of the policy, and of other modules in the same run.
//! `docs/performance.md` describes the method.

mod measure;
mod server;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use measure::{MeasureError, Module, Row};
use policy_budgets::Case;
use policy_host::{LoadError, Policy};
use serde_json::{Map, Value, json};
use server::{Server, ServerError};

/// Measure a policy: time, fuel, memory and patch of each kind of request
#[derive(Parser)]
struct Arguments {
    /// The modules, as NAME=PATH, the policy first; the columns `beyond accept` and `of naive`
    /// compare it with the modules that have these names
    #[arg(required = true, value_parser = named)]
    modules: Vec<(String, PathBuf)>,
    /// The number of timed calls
    #[arg(long, default_value_t = 400)]
    runs: usize,
    /// Write the requests to this directory, for other tools
    #[arg(long, value_name = "FOLDER")]
    requests: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=PATH")?;
    Ok((name.to_owned(), path.into()))
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}: {1}")]
    Load(PathBuf, LoadError),
    #[error("{0}: {1}")]
    Serve(PathBuf, ServerError),
    #[error(transparent)]
    Measure(#[from] MeasureError),
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("{0}: {1}")]
    Json(PathBuf, serde_json::Error),
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

fn run(arguments: &Arguments) -> Result<(), Error> {
    let cases = policy_budgets::all();
    if let Some(folder) = &arguments.requests {
        write_requests(folder, &cases)?;
    }
    let modules: Vec<Module> =
        arguments.modules.iter().map(|(name, path)| load(name, path)).collect::<Result<_, _>>()?;
    let rows = measure::all(&modules, &cases, arguments.runs)?;
    if arguments.json {
        let sizes: Map<String, Value> =
            modules.iter().map(|module| (module.name.clone(), module.bytes.into())).collect();
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        println!("{:#}", json!({ "module_bytes": sizes, "rows": rows }));
    } else {
        print!("{}", table::of(&modules, &rows));
    }
    Ok(())
}

fn load(name: &str, path: &Path) -> Result<Module, Error> {
    let wasm = fs::read(path).map_err(|error| Error::File(path.to_owned(), error))?;
    Ok(Module {
        name: name.to_owned(),
        policy: Policy::builder()
            .timeout(None)
            .bytes(&wasm)
            .map_err(|error| Error::Load(path.to_owned(), error))?,
        server: Server::new(&wasm).map_err(|error| Error::Serve(path.to_owned(), error))?,
        bytes: wasm.len(),
    })
}

/// Writes each `AdmissionRequest` to a file, as `kwctl bench` reads it.
fn write_requests(folder: &Path, cases: &[Case]) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| Error::File(folder.to_owned(), error))?;
    for case in cases.iter().filter(|case| case.object.is_some()) {
        let path = folder.join(case.name.replace(' ', "-")).with_extension("json");
        let payload: Value =
            serde_json::from_slice(&case.payload).map_err(|error| Error::Json(path.clone(), error))?;
        fs::write(&path, payload["request"].to_string()).map_err(|error| Error::File(path, error))?;
    }
    Ok(())
}
