//! `policy-host serve`, over real sockets.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use support::{Behaviour, accept, policy, policy_with};
use tempfile::TempDir;

/// A running server; ended when dropped.
struct Host {
    child: Child,
    stdout: BufReader<ChildStdout>,
    api: SocketAddr,
    readiness: SocketAddr,
}

impl Host {
    /// Serves `entries`, lines of a policies.yml.
    fn start(folder: &Path, entries: &str, arguments: &[&str]) -> Self {
        let mut child = command(folder, entries, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = |after: &str| {
            let text = line.split_once(after).unwrap().1;
            let end = text.find([',', '/', '\n']).unwrap();
            text[..end].parse().unwrap()
        };
        let api = if line.contains(" at https://") { " at https://" } else { " at http://" };
        Self { api: address(api), readiness: address("readiness at http://"), child, stdout }
    }

    fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let stream = TcpStream::connect(self.api).unwrap();
        exchange(stream, "POST", path, body)
    }

    fn validate(&self, policy: &str, review: &Value) -> Value {
        let (status, answer) = self.post(&format!("/validate/{policy}"), &review.to_string());
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        answer["response"].clone()
    }

    /// Ends the server as Kubernetes would, and returns the rest of its log.
    fn terminate(mut self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut log = String::new();
        self.stdout.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code().unwrap(), log)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, entries: &str, arguments: &[&str]) -> Command {
    let policies = folder.join("policies.yml");
    fs::write(&policies, entries).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_policy-host"));
    command
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .args(["serve", "--port", "0", "--readiness-probe-port", "0", "--policies"])
        .arg(policies)
        .args(arguments);
    command
}

fn refused(folder: &Path, entries: &str, arguments: &[&str]) -> Output {
    command(folder, entries, arguments).output().unwrap()
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: host\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A body that is too long may be refused before all of it is sent.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Writes a policy and returns its line of a policies.yml.
fn module(folder: &Path, name: &str, wasm: &[u8]) -> String {
    let path = folder.join(format!("{name}.wasm"));
    fs::write(&path, wasm).unwrap();
    format!("module: file://{}", path.display())
}

fn review(object: &Value) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "u-1",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {},
            "object": object,
        },
    })
}

fn mutating() -> Vec<u8> {
    policy(&Behaviour::Answer(json!({ "accepted": true, "mutated_object": { "a": 2 } })))
}

#[test]
fn reviews_are_answered_as_the_policy_server_does() {
    let folder = TempDir::new().unwrap();
    let mutate = module(folder.path(), "mutate", &mutating());
    let answer = json!({ "accepted": false, "message": "no" });
    let reject = module(folder.path(), "reject", &policy(&Behaviour::Answer(answer)));
    let host = Host::start(
        folder.path(),
        &format!(
            "mutate: {{{mutate}, allowedToMutate: true}}\n\
             forbidden: {{{mutate}}}\n\
             watch: {{{reject}, policyMode: monitor}}\n\
             reject: {{{reject}}}\n\
             worded: {{{reject}, message: ask us}}\n"
        ),
        &["--always-accept-admission-reviews-on-namespace", "kubewarden"],
    );
    let object = json!({ "a": 1 });

    let response = host.validate("mutate", &review(&object));
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(true)));
    assert_eq!(response["patchType"], "JSONPatch");
    let response: policy_host::AdmissionResponse = serde_json::from_value(response).unwrap();
    assert_eq!(response.patched(&object).unwrap(), json!({ "a": 2 }));

    let response = host.validate("forbidden", &review(&object));
    assert_eq!(response["allowed"], false);
    assert_eq!(response.get("patch"), None);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.contains("rejected by policy forbidden"), "{message}");

    let response = host.validate("watch", &review(&object));
    assert_eq!((&response["allowed"], response.get("status")), (&json!(true), None));
    let (_, audit) = host.post("/audit/watch", &review(&object).to_string());
    assert_eq!(audit["response"]["allowed"], false);

    let response = host.validate("worded", &review(&object));
    assert_eq!(response["status"]["message"], "ask us");
    assert_eq!(response["status"]["details"]["causes"][0]["message"], "no");

    let mut own = review(&object);
    own["request"]["namespace"] = json!("kubewarden");
    assert_eq!(host.validate("reject", &own)["allowed"], true);

    let (status, raw) = host.post("/validate_raw/reject", r#"{"request": {"uid": "r"}}"#);
    assert_eq!((status, &raw["response"]["uid"]), (200, &json!("r")));

    let probe = TcpStream::connect(host.readiness).unwrap();
    assert_eq!(exchange(probe, "GET", "/readiness", "").0, 200);
    assert_eq!(host.terminate().0, 0);
}

#[test]
fn what_is_no_review_is_an_http_error() {
    let folder = TempDir::new().unwrap();
    let entry = module(folder.path(), "p", &policy(&Behaviour::Answer(accept())));
    let host = Host::start(folder.path(), &format!("p: {{{entry}}}\n"), &[]);

    let (status, error) = host.post("/validate/other", &review(&json!({})).to_string());
    assert_eq!(status, 404);
    assert_eq!(error, json!({ "message": "unknown policy: other", "status": 404 }));
    assert_eq!(host.post("/validate/p", "{").0, 400);
    assert_eq!(host.post("/validate/p", "{}").0, 422);
    assert_eq!(host.post("/elsewhere", "{}").0, 404);

    let fits = review(&json!({ "a": "x".repeat(2 * 1024 * 1024 - 1024) }));
    assert_eq!(host.validate("p", &fits)["allowed"], true);
    let long = review(&json!({ "a": "x".repeat(2 * 1024 * 1024) }));
    assert_eq!(host.post("/validate/p", &long.to_string()).0, 413);
}

#[test]
fn a_slow_policy_is_interrupted_and_holds_up_no_other() {
    let folder = TempDir::new().unwrap();
    let slow = module(folder.path(), "slow", &policy(&Behaviour::Loop));
    let quick = module(folder.path(), "quick", &policy(&Behaviour::Answer(accept())));
    let host = Host::start(
        folder.path(),
        &format!("slow: {{{slow}, timeoutEvalSeconds: 1}}\nquick: {{{quick}}}\n"),
        &["--workers", "2"],
    );
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| host.validate("slow", &review(&json!({}))));
        let began = Instant::now();
        assert_eq!(host.validate("quick", &review(&json!({})))["allowed"], true);
        assert!(began.elapsed() < Duration::from_secs(1));
        let response = slow.join().unwrap();
        assert_eq!(response["status"]["code"], 500);
    });
    let (_, log) = host.terminate();
    assert!(log.contains("ERROR slow: CREATE object default/(no name): rejected"), "{log}");
}

#[test]
fn a_guests_log_line_is_one_line() {
    let folder = TempDir::new().unwrap();
    let line = json!({ "level": "warning", "message": "look\nout", "pod": "web" });
    let guest = policy(&Behaviour::HostCall(["kubewarden", "tracing", "log"], line));
    let entry = module(folder.path(), "p", &guest);
    let host = Host::start(folder.path(), &format!("p: {{{entry}}}\n"), &[]);
    host.validate("p", &review(&json!({})));
    let (_, log) = host.terminate();
    assert!(log.contains(r#"WARN  p: look\nout pod="web""#), "{log}");
    assert!(log.ends_with("stopped\n"), "{log}");
}

#[test]
fn https_is_spoken_with_the_certificate_given() {
    let folder = TempDir::new().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = folder.path().join("tls.crt");
    let key = folder.path().join("tls.key");
    fs::write(&certificate, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let entry = module(folder.path(), "p", &policy(&Behaviour::Answer(accept())));
    let files = ["--cert-file", certificate.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    let host = Host::start(folder.path(), &format!("p: {{{entry}}}\n"), &files);

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = StreamOwned::new(tls, TcpStream::connect(host.api).unwrap());
    let (status, answer) = exchange(stream, "POST", "/validate/p", &review(&json!({})).to_string());
    assert_eq!((status, &answer["response"]["allowed"]), (200, &json!(true)));
}

#[test]
fn it_does_not_start_with_what_it_cannot_serve() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let invalid = policy_with(
        &Behaviour::Trap,
        &Behaviour::Answer(json!({ "valid": false, "message": "unknown key\n- x" })),
    );
    let invalid = module(folder, "invalid", &invalid);
    let fine = module(folder, "fine", &policy(&Behaviour::Trap));
    let missing = folder.join("nowhere.wasm");
    for (entries, arguments, status, message) in [
        (format!("p: {{{invalid}}}"), vec![], 1, "policy `p`: Policy settings are invalid: unknown key\n- x"),
        (format!("p: {{module: {}}}", missing.display()), vec![], 3, "policy `p`: "),
        ("p: {module: 'registry://example.com/p:1'}".to_owned(), vec![], 3, "pull the policy first"),
        ("p: [".to_owned(), vec![], 4, "policies.yml: not valid YAML at line 1"),
        (String::new(), vec![], 4, "it names no policy"),
        (format!("p: {{{fine}}}"), vec!["--cert-file", "/nowhere"], 2, "--key-file"),
        (
            format!("p: {{{fine}}}"),
            vec!["--cert-file", "/nowhere", "--key-file", "/nowhere"],
            3,
            "/nowhere: ",
        ),
    ] {
        let output = refused(folder, &entries, &arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.contains(message), "{text}");
    }
}
