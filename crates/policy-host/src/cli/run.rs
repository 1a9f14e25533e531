//! `policy-host run`.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use clap::{ArgAction, ValueEnum};
use policy_host::{
    CallError, Level, LogSink, Policy, Review, documents,
    manifest::{Case, Operation, Options},
};
use serde_json::Value;

use super::{
    against::Theirs,
    diff::{self, LongTexts},
    failure::{Failure, Status},
    input::{self, Subject},
    style::{self, Screen, paint},
    summary,
};

/// Run a policy on requests or manifests, as `kwctl run` does
///
/// The settings are validated first, as by the policy server when it starts.
/// For an admission request, the output is the same as kwctl's. For a manifest,
/// the policy gets the request that `kubectl apply` would cause, and the output
/// is a diff and a summary. For a workload, it also gets a pod of its template.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // They are switches of a command line.
#[command(after_help = "\
Examples:
  policy-host run policy.wasm -r pod.yaml
  policy-host run policy.wasm -r deployment.yaml --settings-path settings.yaml -o summary
  policy-host run policy.wasm -r pod.yaml -o yaml | kubectl apply -f -
  kubectl get pod web-0 -o yaml | policy-host run policy.wasm -s settings.yaml --against -
  policy-host run policy.wasm -r review.json --settings-json '{\"default\": true}' | jq .
  kustomize build . | policy-host run policy.wasm -r - --fail-on-rejection")]
pub struct Args {
    /// The policy: a .wasm file or its file:// URL, annotated or not; or the manifest of a policy
    /// (.yaml, .yml) whose module is such a URL
    #[arg(value_name = "POLICY")]
    policy: String,

    /// An AdmissionRequest or AdmissionReview, or manifests in YAML or JSON; - is standard input.
    /// May be given several times
    #[arg(short, long, value_name = "PATH", required_unless_present = "against", action = ArgAction::Append)]
    #[arg(num_args = 1)]
    request_path: Vec<String>,

    /// Compare the policy's pod with this pod, which the chart's webhook has injected: the output of
    /// kubectl get pod -o yaml. Without --request-path, the policy gets the pod before its injection
    #[arg(long, value_name = "PATH", conflicts_with = "output")]
    against: Option<String>,

    /// The policy's settings: a YAML or JSON file
    #[arg(short, long, value_name = "PATH", conflicts_with = "settings_json")]
    settings_path: Option<String>,

    /// The policy's settings: JSON
    #[arg(long, value_name = "JSON")]
    settings_json: Option<String>,

    /// What to print [default: json for requests, full for manifests]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Output>,

    /// Show long texts that the policy added, such as scripts, in full
    #[arg(long)]
    full_text: bool,

    /// The namespace of manifests that do not have one
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    namespace: String,

    /// The operation of the requests for manifests
    #[arg(long, value_enum, value_name = "OPERATION", default_value_t, ignore_case = true)]
    operation: Operation,

    /// Exit with status 9 if anything was rejected
    #[arg(long)]
    fail_on_rejection: bool,

    /// Interrupt the policy after this many seconds; 0 means never
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    timeout: u64,

    /// The execution mode; only kwctl's default is supported
    #[arg(short, long, value_name = "MODE", value_parser = ["kubewarden", "kubewarden-wapc"], hide_possible_values = true)]
    execution_mode: Option<String>,

    /// Ignored; for compatibility with kwctl. This host has no cache
    #[arg(long, hide_short_help = true)]
    disable_wasmtime_cache: bool,

    /// Ignored; for compatibility with kwctl. This host offers no context-aware resources
    #[arg(long, hide_short_help = true)]
    allow_context_aware: bool,

    /// Ignored; for compatibility with kwctl, like --allow-context-aware
    #[arg(long, hide_short_help = true, value_name = "CAPABILITY", num_args = 0.., action = ArgAction::Append)]
    allowed_host_capabilities: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// The response, as kwctl prints it; one line for each object
    Json,
    /// The object as the policy returns it
    Yaml,
    /// What the policy changed, with formatted JSON values
    Diff,
    /// The outcome in a few lines
    Summary,
    /// diff and summary
    Full,
}

pub fn run(args: &Args, screen: &Screen) -> Result<(), Failure> {
    let subjects = subjects(args)?;
    let policies =
        subjects.iter().map(|subject| load(args, screen, subject)).collect::<Result<Vec<_>, _>>()?;
    // Standard input can be read only once, and all policies get the same requests.
    let mut requests = Vec::new();
    for path in &args.request_path {
        requests.push((path.as_str(), input::read(path)?));
    }
    let against = args.against.as_deref().map(Theirs::read).transpose()?;
    if let Some(theirs) = against.as_ref().filter(|_| requests.is_empty()) {
        requests.push((theirs.title.as_str(), theirs.original()?));
    }
    let mut tally = Tally { against: against.as_ref(), ..Tally::default() };
    for (subject, policy) in subjects.iter().zip(&policies) {
        if let Some(title) = subject.title.as_ref().filter(|_| subjects.len() > 1) {
            anstream::eprintln!("{} {title}", paint(style::FAINT, "asking"));
        }
        ask(args, screen, subject, policy, &requests, &mut tally)?;
    }
    tally.outcome()
}

/// The policies to run: several only if the manifest has several.
fn subjects(args: &Args) -> Result<Vec<Subject>, Failure> {
    if !input::is_manifest_path(&args.policy) {
        let settings = input::settings(args.settings_path.as_deref(), args.settings_json.as_deref())?;
        return Ok(vec![Subject::module(&args.policy, settings)]);
    }
    if args.settings_path.is_some() || args.settings_json.is_some() {
        anstream::eprintln!(
            "{} the settings are those of {}; --settings-path and --settings-json are ignored",
            paint(style::CARE, "note:"),
            args.policy
        );
    }
    input::subjects_of_file(&args.policy)
}

fn ask(
    args: &Args,
    screen: &Screen,
    subject: &Subject,
    policy: &Policy,
    requests: &[(&str, String)],
    tally: &mut Tally<'_>,
) -> Result<(), Failure> {
    let options = Options {
        namespace: args.namespace.clone(),
        operation: args.operation,
        with_pods: args.output != Some(Output::Json),
    };
    let mut cases = Vec::new();
    for (path, text) in requests {
        cases.extend(input::requests(path, text, &options)?);
    }

    let settings = subject.entry.settings();
    let answer = policy.validate_settings(&settings)?;
    if !answer.valid {
        let failure = invalid_settings(answer.message);
        return Err(match &subject.title {
            Some(title) => failure.about(title),
            None => failure,
        });
    }

    let long_texts = if args.full_text { LongTexts::Whole } else { LongTexts::Beginning };
    let mut out = anstream::stdout().lock();
    for case in cases {
        let output = args.output.unwrap_or(if case.from_manifest { Output::Full } else { Output::Json });
        if tally.requests > 0 && matches!(output, Output::Diff | Output::Full) {
            writeln!(out)?;
        }
        tally.requests += 1;
        let mut review = policy.review(&case.request, &settings);
        let entry = &subject.entry;
        review.response = review.response.constrained(
            &subject.name,
            entry.policy_mode,
            entry.allowed_to_mutate.unwrap_or_default(),
            entry.message.as_deref(),
        );
        let printed = match tally.against {
            Some(theirs) => compared(&mut out, screen, theirs, &case, &review, &mut tally.differences)?,
            None => print(&mut out, screen, output, long_texts, &case, &review)?,
        };
        out.flush()?;
        if let Some(failure) = review.failure {
            tally.failures.push((case.title, failure));
        } else if !review.response.allowed && (args.fail_on_rejection || !printed) {
            tally.rejected.push(case.title);
        }
    }
    Ok(())
}

/// The outcome of all requests.
#[derive(Default)]
struct Tally<'a> {
    /// The pod to compare the policy's pods with.
    against: Option<&'a Theirs>,
    /// The pods with unintended differences.
    differences: Vec<String>,
    requests: usize,
    failures: Vec<(String, CallError)>,
    rejected: Vec<String>,
}

impl Tally<'_> {
    /// All have been printed; the first one determines the exit status.
    fn outcome(self) -> Result<(), Failure> {
        if let Some((title, failure)) = self.failures.into_iter().next() {
            let failure = Failure::from(failure);
            return Err(if self.requests > 1 { failure.about(&title) } else { failure });
        }
        if let Some(title) = self.differences.first() {
            let message = format!("{title} differs from the webhook's pod for an unknown reason");
            return Err(Failure::new(Status::Differences, message));
        }
        let message = match self.rejected.as_slice() {
            [] => return Ok(()),
            [title] => format!("{title} was rejected"),
            several => format!("{} of {} requests were rejected", several.len(), self.requests),
        };
        Err(Failure::new(Status::Rejected, message))
    }
}

fn load(args: &Args, screen: &Screen, subject: &Subject) -> Result<Policy, Failure> {
    let module = &subject.entry.module;
    let path = input::policy_path(module).map_err(|failure| match &subject.title {
        Some(title) => failure.about(title).hint(format!(
            "write `module: file:///path/to/policy.wasm` in {0}, or run a module with the settings of \
             the manifest: `policy-host run policy.wasm -s {0}`",
            args.policy
        )),
        None => failure,
    })?;
    let timeout = (args.timeout > 0).then(|| Duration::from_secs(args.timeout));
    let policy = Policy::builder()
        .timeout(timeout)
        .log(log_sink(screen))
        .path(path)
        .map_err(|error| Failure::from(error).about(module))?;
    Ok(policy)
}

/// The guest's log goes to standard error, as with kwctl.
fn log_sink(screen: &Screen) -> LogSink {
    let verbose = screen.verbose;
    Arc::new(move |entry| {
        if entry.level < Level::Info && !verbose {
            return;
        }
        let color = match entry.level {
            Level::Error => style::BAD,
            Level::Warning => style::CARE,
            _ => style::FAINT,
        };
        let place = match (verbose, entry.fields.get("file"), entry.fields.get("line")) {
            (true, Some(file), Some(line)) => format!(" ({}:{line})", file.as_str().unwrap_or("?")),
            _ => String::new(),
        };
        anstream::eprintln!("{}{place}", paint(color, format!("policy log: {entry}")));
    })
}

fn invalid_settings(message: Option<String>) -> Failure {
    Failure::other(format!("Provided settings are not valid: {}", message.unwrap_or_default()))
}

/// Prints how a pod differs from the webhook's; the workload itself is not compared.
/// False if there is no pod because it was rejected.
fn compared(
    out: &mut impl Write,
    screen: &Screen,
    theirs: &Theirs,
    case: &Case,
    review: &Review,
    differences: &mut Vec<String>,
) -> Result<bool, Failure> {
    let response = &review.response;
    let Some(before) = case.request.object.as_ref() else { return Ok(true) };
    let ours = response
        .patched(before)
        .map_err(|error| Failure::new(Status::GuestError, format!("{}: {error}", case.title)))?;
    if before["kind"] != "Pod" || ours == *before {
        write!(out, "{}", summary::of(screen, case, review, Some((before, &ours))))?;
    } else if !theirs.compare(out, screen, &ours)? {
        differences.push(case.title.clone());
    }
    Ok(response.allowed)
}

/// Prints one outcome. False if a rejection left nothing to print.
fn print(
    out: &mut impl Write,
    screen: &Screen,
    output: Output,
    long_texts: LongTexts,
    case: &Case,
    review: &Review,
) -> Result<bool, Failure> {
    let response = &review.response;
    let before = case.request.object.as_ref();
    let after = match before {
        Some(before) => Some(
            response
                .patched(before)
                .map_err(|error| Failure::new(Status::GuestError, format!("{}: {error}", case.title)))?,
        ),
        None => None,
    };
    let change = before.zip(after.as_ref());
    match output {
        Output::Json => {
            let json = serde_json::to_string(response).map_err(io::Error::from)?;
            writeln!(out, "{json}")?;
        }
        Output::Yaml => return yaml(out, screen, case, review, after.as_ref()),
        Output::Diff | Output::Full => {
            if let Some((before, after)) = change {
                diff::write(out, screen, long_texts, &case.title, before, after)?;
            }
            let answered = response.allowed && response.warnings.iter().flatten().next().is_none();
            let changed = change.is_some_and(|(before, after)| before != after);
            // A diff alone would not distinguish a rejection from no change.
            if output == Output::Full || !answered || !changed {
                write!(out, "{}", summary::of(screen, case, review, change))?;
            }
        }
        Output::Summary => write!(out, "{}", summary::of(screen, case, review, change))?,
    }
    Ok(true)
}

/// Prints the object for another program, and everything for the user to standard error.
fn yaml(
    out: &mut impl Write,
    screen: &Screen,
    case: &Case,
    review: &Review,
    after: Option<&Value>,
) -> Result<bool, Failure> {
    let response = &review.response;
    let to_tell = !response.allowed || response.warnings.iter().flatten().next().is_some();
    if to_tell {
        anstream::eprint!("{}", summary::of(screen, case, review, None));
    }
    if !response.allowed {
        return Ok(false);
    }
    if let Some(after) = after {
        writeln!(out, "---")?;
        if let Some(workload) = &case.template_of {
            writeln!(out, "# the pod of {workload}")?;
        }
        out.write_all(documents::to_yaml(after).as_bytes())?;
    }
    Ok(true)
}
