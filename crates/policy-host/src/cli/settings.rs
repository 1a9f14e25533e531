//! `policy-host settings`.

use std::io::Write;

use policy_host::{
    Policy,
    advice::advice,
    documents,
    helm::{self, Translation},
};

use super::{
    failure::{Failure, Status},
    input,
    style::{self, Screen, paint},
};

/// Validate the policy's settings, or translate them from Helm values
///
/// The policy validates the settings of a file, or of every policy's manifest in
/// it. Notes about settings that are valid, but probably not intended, go to
/// standard error. With --from-helm, the settings go to standard output, and a
/// report about every key of the values to standard error. Keys that no chart has
/// are omitted, and the exit status is then 10.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
#[command(after_help = "\
Examples:
  policy-host settings settings.yaml
  policy-host settings clusteradmissionpolicy.yaml
  policy-host settings --settings-json '{\"default\": true}'
  policy-host settings --from-helm values.yaml >settings.yaml
  helm get values consul -n consul --all -o yaml | policy-host settings --from-helm - --ca-cert ca.pem")]
pub struct Args {
    /// The settings, or the manifest of a policy: a YAML or JSON file; - is standard input
    #[arg(value_name = "FILE", group = "what")]
    file: Option<String>,

    /// The settings: JSON
    #[arg(long, value_name = "JSON", group = "what")]
    settings_json: Option<String>,

    /// Translate the values of Consul's Helm chart: a values file, or a Flux HelmRelease, an Argo
    /// CD Application or another object with values inside; - is standard input
    #[arg(long, value_name = "FILE", group = "what")]
    from_helm: Option<String>,

    /// The CA of Consul's certificates, as PEM, for tls.caCert
    #[arg(long, value_name = "FILE", requires = "from_helm")]
    ca_cert: Option<String>,

    /// The policy's mode [default: determined from the values]
    #[arg(long, value_enum, value_name = "MODE", requires = "from_helm")]
    mode: Option<helm::Mode>,

    /// The name of the Helm release, with which the names of the chart's Services begin
    #[arg(long, value_name = "NAME", requires = "from_helm")]
    release: Option<String>,

    /// The namespace of the Helm release
    #[arg(long, value_name = "NAME", requires = "from_helm")]
    release_namespace: Option<String>,

    /// The policy: a .wasm file or its file:// URL
    #[arg(long, value_name = "POLICY", default_value = "policy.wasm")]
    policy: String,
}

pub fn run(args: &Args, screen: &Screen) -> Result<(), Failure> {
    let mut unknown = Vec::new();
    let all = match (&args.from_helm, &args.file) {
        (Some(path), _) => {
            let translation = translated(path, args, screen)?;
            unknown.extend(translation.unknown().map(str::to_owned));
            vec![(None, translation.settings)]
        }
        (None, Some(path)) => input::settings_of_file(path)?,
        (None, None) => vec![(None, input::settings(None, args.settings_json.as_deref())?)],
    };
    let policy = Policy::builder()
        .path(input::policy_path(&args.policy)?)
        .map_err(|error| Failure::from(error).about(&args.policy))?;
    let (policy, logs) = policy.with_logs();
    let mut refusals = Vec::new();
    for (title, settings) in &all {
        let answer = policy.validate_settings(settings)?;
        // A translation has notes of its own.
        let logged = logs.take().into_iter().filter(|_| args.from_helm.is_none());
        for note in logged.filter_map(|line| line.message).chain(advice(settings)) {
            tell(screen, &note);
        }
        let prefix = title.as_ref().map(|title| format!("{title}: ")).unwrap_or_default();
        if !answer.valid {
            let message = answer.message.unwrap_or_else(|| "the policy gives no reason".to_owned());
            refusals.push(format!("{prefix}{message}"));
        } else if args.from_helm.is_none() {
            writeln!(anstream::stdout(), "{prefix}{}", paint(style::GOOD, "valid"))?;
        }
    }
    if !refusals.is_empty() {
        return Err(Failure::other(refusals.join("\n")));
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("unknown keys, omitted from the settings: {}", unknown.join(", "));
    Err(Failure::new(Status::UnknownKeys, message)
        .hint("the settings are valid without them; correct misspelled keys, and remove the others"))
}

/// Translates a values file: prints the settings to standard output and the report to standard error.
fn translated(path: &str, args: &Args, screen: &Screen) -> Result<Translation, Failure> {
    let bad = |message: String| Failure::new(Status::BadInput, format!("{path}: {message}"));
    let documents = documents::parse(&input::read(path)?).map_err(|error| bad(error.to_string()))?;
    let ca_cert = args.ca_cert.as_deref().map(input::read).transpose()?;
    let options = helm::Options {
        ca_cert: ca_cert.as_deref(),
        mode: args.mode,
        release: args.release.as_deref(),
        namespace: args.release_namespace.as_deref(),
    };
    let translation = helm::pick(documents)
        .and_then(|document| helm::translate(&document, &options))
        .map_err(|error| bad(error.to_string()))?;
    let width =
        translation.outcomes.iter().map(|outcome| outcome.key.len()).max().unwrap_or_default().min(50);
    let mut heading = None;
    for outcome in &translation.outcomes {
        if heading.replace(outcome.fate) != Some(outcome.fate) {
            anstream::eprintln!("{}", style::strong(&format!("{}:", outcome.fate)));
        }
        let arrow = if outcome.fate == helm::Fate::Translated { "→ " } else { "" };
        let text = format!("{arrow}{}", outcome.text);
        let color = match outcome.fate {
            helm::Fate::Unknown | helm::Fate::Elsewhere => style::CARE,
            helm::Fate::Translated => anstyle::Style::new(),
            helm::Fate::NotInThisMode | helm::Fate::Deployment => style::FAINT,
        };
        for (index, line) in screen.wrap(&text, width + 4).iter().enumerate() {
            let key = if index == 0 { outcome.key.as_str() } else { "" };
            anstream::eprintln!("  {key:width$}  {}", paint(color, line));
        }
    }
    for note in &translation.notes {
        tell(screen, note);
    }
    anstream::stdout().write_all(documents::to_yaml(&translation.settings).as_bytes())?;
    Ok(translation)
}

fn tell(screen: &Screen, note: &str) {
    for (index, line) in screen.wrap(note, 6).iter().enumerate() {
        let label = if index == 0 { "note:" } else { "     " };
        anstream::eprintln!("{} {line}", paint(style::CARE, label));
    }
}
