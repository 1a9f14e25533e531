//! `policy-host serve`.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use policy_host::{
    Level, LogSink, manifest,
    policies::{self, PolicyEntry},
    server::{self, Event, EventSink, ServeError, Served, Server},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    failure::{Failure, Status},
    input,
    style::{self, Screen, paint},
};

/// The time that requests in progress get when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// Serve policies to an API server, like a policy server
///
/// Paths, formats and limits are those of the policy server: `POST
/// /validate/POLICY` expects and returns an AdmissionReview, and `GET /readiness`
/// on a separate port reports that the server is ready. It does not start with
/// settings that a policy rejects.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  policy-host serve --policies policies.yml
  policy-host serve --addr 0.0.0.0 --port 8443 --cert-file tls.crt --key-file tls.key

The file of policies, as the policy server reads it:
  connect-injector:
    module: file:///path/to/policy.wasm
    allowedToMutate: true
    policyMode: protect
    settings:
      default: true")]
pub struct Args {
    /// The policies and their settings
    #[arg(long, value_name = "FILE", default_value = "policies.yml", env = "KUBEWARDEN_POLICIES")]
    policies: String,

    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", env = "KUBEWARDEN_BIND_ADDRESS")]
    addr: IpAddr,

    /// The port to listen on; 0 selects a free one
    #[arg(long, value_name = "PORT", default_value_t = 3000, env = "KUBEWARDEN_PORT")]
    port: u16,

    /// The port of the readiness probe, without TLS; 0 selects a free one
    #[arg(long, value_name = "PORT", default_value_t = 8081, env = "KUBEWARDEN_READINESS_PROBE_PORT")]
    readiness_probe_port: u16,

    /// The certificate for HTTPS, with its chain, as PEM
    #[arg(long, value_name = "FILE", requires = "key_file", env = "KUBEWARDEN_CERT_FILE")]
    cert_file: Option<PathBuf>,

    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert_file", env = "KUBEWARDEN_KEY_FILE")]
    key_file: Option<PathBuf>,

    /// The number of requests to process at once [default: one for each CPU]
    #[arg(long, value_name = "NUMBER", env = "KUBEWARDEN_WORKERS")]
    workers: Option<usize>,

    /// Interrupt a policy after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, env = "KUBEWARDEN_POLICY_TIMEOUT")]
    policy_timeout: u64,

    /// Let policies run without a time limit
    #[arg(long, env = "KUBEWARDEN_DISABLE_TIMEOUT_PROTECTION")]
    disable_timeout_protection: bool,

    /// Accept all requests of this namespace without calling a policy
    #[arg(long, value_name = "NAMESPACE", env = "KUBEWARDEN_ALWAYS_ACCEPT_ADMISSION_REVIEWS_ON_NAMESPACE")]
    always_accept_admission_reviews_on_namespace: Option<String>,

    /// The log level
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "info", env = "KUBEWARDEN_LOG_LEVEL")]
    log_level: Level,
}

pub fn run(args: &Args, screen: &Screen) -> Result<(), Failure> {
    let log = Log { level: if screen.verbose { Level::Debug.min(args.log_level) } else { args.log_level } };
    let entries = policies::parse(&input::read(&args.policies)?)
        .map_err(|error| Failure::new(Status::BadInput, format!("{}: {error}", args.policies)))?;
    let names: Vec<_> = entries.keys().cloned().collect();
    let timeout = (!args.disable_timeout_protection && args.policy_timeout > 0)
        .then(|| Duration::from_secs(args.policy_timeout));
    let workers = args.workers.or_else(|| thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let server = Server::new(load(entries, timeout, &log)?, workers, log.events())
        .always_accept(args.always_accept_admission_reviews_on_namespace.clone());
    let tls = match (&args.cert_file, &args.key_file) {
        (Some(certificate), Some(key)) => Some(tls(certificate, key)?),
        _ => None,
    };
    let api = listen(args.addr, args.port)?;
    let readiness = listen(args.addr, args.readiness_probe_port)?;

    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .and_then(|runtime| {
            runtime.block_on(async {
                let scheme = if tls.is_some() { "https" } else { "http" };
                log.line(
                    Level::Info,
                    &format!(
                        "serving {} at {scheme}://{}, readiness at http://{}/readiness",
                        names.join(", "),
                        api.local_addr()?,
                        readiness.local_addr()?,
                    ),
                );
                serve(api, readiness, tls, server.router(), &log).await
            })
        })
        .map_err(|error| Failure::other(format!("the server failed: {error}")))?;
    log.line(Level::Info, "stopped");
    Ok(())
}

fn load(
    entries: BTreeMap<String, PolicyEntry>,
    timeout: Option<Duration>,
    log: &Log,
) -> Result<BTreeMap<String, Served>, Failure> {
    entries
        .into_iter()
        .map(|(name, entry)| {
            let about = format!("policy `{name}`");
            let module = entry.module.clone();
            let served = Served::load(entry, timeout, log.policy(&name)).map_err(|error| match error {
                ServeError::Location(error) => Failure::new(Status::Unreadable, error.to_string()),
                ServeError::Load(error) => Failure::from(error).about(&module),
                ServeError::Call(error) => Failure::from(error),
                ServeError::Settings(_) => Failure::other(error.to_string()),
            });
            let served = served.map_err(|failure| failure.about(&about))?;
            for note in served.notes() {
                log.line(Level::Warning, &format!("{about}: {note}"));
            }
            Ok((name, served))
        })
        .collect()
}

fn listen(address: IpAddr, port: u16) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener)).map_err(
        |error| {
            let failure = Failure::other(format!("cannot listen on {address}: {error}"));
            match error.kind() {
                io::ErrorKind::AddrInUse => failure
                    .hint("use --port and --readiness-probe-port to choose others, or 0 for a free one"),
                _ => failure,
            }
        },
    )
}

fn tls(certificate: &PathBuf, key: &PathBuf) -> Result<RustlsConfig, Failure> {
    let bad = |path: &PathBuf, error: &dyn std::fmt::Display| {
        Failure::new(Status::Unreadable, format!("{}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    // Only HTTP/1.1, which is all that the policy server offers in the handshake.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| bad(certificate, &error))?;
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

/// Runs both servers until they stop or a signal arrives.
async fn serve(
    api: TcpListener,
    readiness: TcpListener,
    tls: Option<RustlsConfig>,
    router: Router,
    log: &Log,
) -> io::Result<()> {
    let handle = Handle::new();
    let stopping = stop(handle.clone(), log);
    let probe = axum_server::from_tcp(readiness)?
        .handle(handle.clone())
        .serve(server::readiness().into_make_service());
    let router = router.into_make_service();
    if let Some(tls) = tls {
        let api = axum_server::from_tcp_rustls(api, tls)?.handle(handle);
        until_stopped(api.serve(router), probe, stopping).await
    } else {
        let api = axum_server::from_tcp(api)?.handle(handle);
        until_stopped(api.serve(router), probe, stopping).await
    }
}

async fn until_stopped(
    api: impl Future<Output = io::Result<()>>,
    probe: impl Future<Output = io::Result<()>>,
    stopping: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    tokio::try_join!(api, probe, stopping).map(|_| ())
}

async fn stop(handle: Handle<SocketAddr>, log: &Log) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    log.line(Level::Info, "stopping");
    handle.graceful_shutdown(Some(GRACE));
    Ok(())
}

/// One line for each event, on standard output.
#[derive(Clone)]
struct Log {
    level: Level,
}

impl Log {
    fn line(&self, level: Level, text: &str) {
        if level < self.level {
            return;
        }
        let color = match level {
            Level::Error => style::BAD,
            Level::Warning => style::CARE,
            Level::Info => style::GOOD,
            _ => style::FAINT,
        };
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let level = paint(color, format!("{level:5}"));
        // Keep serving if the log cannot be written.
        let _ = io::Write::write_all(
            &mut anstream::stdout(),
            format!("{} {level} {text}\n", paint(style::FAINT, time)).as_bytes(),
        );
    }

    /// The lines that a policy logs.
    fn policy(&self, name: &str) -> LogSink {
        let (log, name) = (self.clone(), name.to_owned());
        Arc::new(move |entry| log.line(entry.level, &format!("{name}: {}", entry.text())))
    }

    fn events(&self) -> EventSink {
        let log = self.clone();
        Arc::new(move |event| match event.failure {
            Some(failure) => {
                log.line(Level::Error, &format!("{}: {failure}", described(event)));
            }
            None => log.line(Level::Debug, &described(event)),
        })
    }
}

/// `connect-injector: CREATE Pod default/web: changed in 3ms`
fn described(event: &Event<'_>) -> String {
    let request = event.request;
    let title = manifest::title_of(request);
    let outcome = match (event.response.allowed, &event.response.patch) {
        (false, _) => "rejected",
        (true, Some(_)) => "changed",
        (true, None) => "accepted",
    };
    format!("{}: {} {title}: {outcome} in {:?}", event.policy, request.operation, event.took)
}
