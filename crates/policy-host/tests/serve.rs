//! `policy-host serve`, over real sockets.

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
use support::{Behavior, accept, annotated, policy, policy_with};
use tempfile::TempDir;

/// A running server, which stops when dropped.
struct Host {
    child: Child,
    stdout: BufReader<ChildStdout>,
    api: SocketAddr,
    readiness: SocketAddr,
    /// The log before it was ready.
    notes: String,
}

impl Host {
    /// Serves `entries`, the lines of a policies.yml.
    fn start(folder: &Path, entries: &str, arguments: &[&str]) -> Self {
        let mut child = command(folder, entries, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut line, mut notes) = (String::new(), String::new());
        while !line.contains(" serving ") {
            notes.push_str(&line);
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "{notes}");
        }
        let address = |after: &str| {
            let text = line.split_once(after).unwrap().1;
            let end = text.find([',', '/', '\n']).unwrap();
            text[..end].parse().unwrap()
        };
        let api = if line.contains(" at https://") { " at https://" } else { " at http://" };
        Self { api: address(api), readiness: address("readiness at http://"), child, stdout, notes }
    }

    fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let stream = TcpStream::connect(self.api).unwrap();
        exchange(stream, "POST", path, body)
    }

    /// The status, content type and body of the response.
    fn answer(&self, path: &str, body: &str) -> (u16, String, String) {
        answered(TcpStream::connect(self.api).unwrap(), "POST", path, body)
    }

    fn validate(&self, policy: &str, review: &Value) -> Value {
        let (status, answer) = self.post(&format!("/validate/{policy}"), &review.to_string());
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        answer["response"].clone()
    }

    /// Stops the server as Kubernetes would, and returns the rest of its log.
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
        .args(["serve", "--port", "0", "--readiness-probe-port", "0", "--policies"])
        .arg(policies)
        .args(arguments);
    command
}

fn refused(folder: &Path, entries: &str, arguments: &[&str]) -> Output {
    command(folder, entries, arguments).output().unwrap()
}

fn exchange(stream: impl Read + Write, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, _, body) = answered(stream, method, path, body);
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn answered(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> (u16, String, String) {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: host\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A body that is too long may be refused before it is sent completely.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-type: ").map(ToOwned::to_owned));
    (status, kind.unwrap_or_default(), body.to_owned())
}

/// Writes a policy and returns its line for a policies.yml.
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
    policy(&Behavior::Answer(json!({ "accepted": true, "mutated_object": { "a": 2 } })))
}

#[test]
fn reviews_are_answered_as_the_policy_server_does() {
    let folder = TempDir::new().unwrap();
    let mutate = module(folder.path(), "mutate", &mutating());
    let answer = json!({ "accepted": false, "message": "no" });
    let reject = module(folder.path(), "reject", &policy(&Behavior::Answer(answer)));
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

    let probe = TcpStream::connect(host.readiness).unwrap();
    assert_eq!(exchange(probe, "GET", "/readiness", "").0, 200);
    assert_eq!(host.terminate().0, 0);
}

#[test]
fn an_invalid_review_is_an_http_error() {
    let folder = TempDir::new().unwrap();
    let entry = module(folder.path(), "p", &policy(&Behavior::Answer(accept())));
    let host = Host::start(folder.path(), &format!("p: {{{entry}}}\n"), &[]);

    let (status, error) = host.post("/validate/other", &review(&json!({})).to_string());
    assert_eq!(status, 404);
    assert_eq!(error, json!({ "message": "unknown policy: other", "status": 404 }));
    assert_eq!(host.post("/validate/p", "{}").0, 422);
    assert_eq!(host.post("/elsewhere", "{}").0, 404);

    let fits = review(&json!({ "a": "x".repeat(2 * 1024 * 1024 - 1024) }));
    assert_eq!(host.validate("p", &fits)["allowed"], true);
    let long = review(&json!({ "a": "x".repeat(2 * 1024 * 1024) }));
    assert_eq!(host.post("/validate/p", &long.to_string()).0, 413);
}

/// The route that the API server does not call returns plain text.
#[test]
fn invalid_json_is_refused_with_the_policy_servers_message() {
    let folder = TempDir::new().unwrap();
    let entry = module(folder.path(), "p", &policy(&Behavior::Answer(accept())));
    let host = Host::start(folder.path(), &format!("p: {{{entry}}}\n"), &[]);

    let broken = "Failed to parse the request body as JSON: EOF while parsing an object at line 1 column 1";
    let (status, kind, body) = host.answer("/validate/p", "{");
    assert_eq!((status, kind.as_str()), (400, "application/json"));
    assert_eq!(body, json!({ "message": broken, "status": 400 }).to_string());
    let (status, kind, body) = host.answer("/audit/p", "{");
    assert_eq!((status, kind.as_str(), body.as_str()), (400, "text/plain; charset=utf-8", broken));
    let (status, kind, body) = host.answer("/audit/p", "{}");
    assert_eq!((status, kind.as_str()), (422, "text/plain; charset=utf-8"));
    assert!(body.contains("missing field `request`"), "{body}");
    // Both routes report an unknown policy in the same way.
    let (status, kind, _) = host.answer("/audit/other", &review(&json!({})).to_string());
    assert_eq!((status, kind.as_str()), (404, "application/json"));

    let mut odd = review(&json!({}));
    odd["kind"] = json!({ "group": "" });
    let (status, error) = host.post("/validate/p", &odd.to_string());
    assert_eq!(status, 422);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(": kind: invalid type: map, expected a string"), "{message}");
    odd["kind"] = Value::Null;
    assert_eq!(host.post("/validate/p", &odd.to_string()).0, 200);
    odd["request"]["userInfo"] = Value::Null;
    let (_, error) = host.post("/validate/p", &odd.to_string());
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("request.userInfo: invalid type: null, expected UserInfo"), "{message}");
    let (_, error) = host.post("/validate/p", "null");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("invalid type: null, expected struct AdmissionReviewRequest"), "{message}");
}

/// This host starts where the policy server would not, and prints a warning.
#[test]
fn a_policy_that_the_policy_server_would_not_load_is_reported_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let wasm = policy(&Behavior::Answer(accept()));
    let bare = module(folder.path(), "bare", &wasm);
    let metadata = json!({ "rules": [], "mutating": true, "executionMode": "kubewarden-wapc" });
    let halfway = module(folder.path(), "halfway", &annotated(wasm.clone(), &metadata));
    let mut metadata = metadata;
    metadata["protocolVersion"] = json!("v1");
    let whole = module(folder.path(), "whole", &annotated(wasm, &metadata));
    let path = whole.replace("file://", "");
    let entries = format!("bare: {{{bare}}}\nhalfway: {{{halfway}}}\nwhole: {{{whole}}}\npath: {{{path}}}\n");
    let host = Host::start(folder.path(), &entries, &[]);
    let notes: Vec<_> = host.notes.lines().collect();
    let file = |name: &str| folder.path().join(name).canonicalize().unwrap().display().to_string();
    assert_eq!(notes.len(), 3, "{notes:?}");
    for (note, expected) in notes.iter().zip([
        format!(
            "WARN  policy `bare`: a policy server does not start with this module, because it has no \
                 metadata with a protocol version: add it with `kwctl annotate -m metadata.yml -o \
                 annotated-policy.wasm {}`",
            folder.path().join("bare.wasm").display()
        ),
        "WARN  policy `halfway`: a policy server does not start with this module".to_owned(),
        format!(
            "WARN  policy `path`: a policy server accepts only URLs as modules: write `module: \
                 file://{}`",
            file("whole.wasm")
        ),
    ]) {
        assert!(note.contains(&expected), "{note}");
    }
}

#[test]
fn a_slow_policy_is_interrupted_and_holds_up_no_other() {
    let folder = TempDir::new().unwrap();
    let slow = module(folder.path(), "slow", &policy(&Behavior::Loop));
    let quick = module(folder.path(), "quick", &policy(&Behavior::Answer(accept())));
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
    let guest = policy(&Behavior::HostCall(["kubewarden", "tracing", "log"], line));
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
    let entry = module(folder.path(), "p", &policy(&Behavior::Answer(accept())));
    let files = ["--cert-file", certificate.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    let host = Host::start(folder.path(), &format!("p: {{{entry}}}\n"), &files);

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(tls, TcpStream::connect(host.api).unwrap());
    let (status, answer) = exchange(&mut stream, "POST", "/validate/p", &review(&json!({})).to_string());
    assert_eq!((status, &answer["response"]["allowed"]), (200, &json!(true)));
    // Only HTTP/1.1, like the policy server.
    assert_eq!(stream.conn.alpn_protocol(), None);
}

#[test]
fn it_does_not_start_with_what_it_cannot_serve() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let invalid = policy_with(
        &Behavior::Trap,
        &Behavior::Answer(json!({ "valid": false, "message": "unknown key\n- x" })),
    );
    let invalid = module(folder, "invalid", &invalid);
    let fine = module(folder, "fine", &policy(&Behavior::Trap));
    let missing = folder.join("nowhere.wasm");
    for (entries, arguments, status, message) in [
        (format!("p: {{{invalid}}}"), vec![], 1, "policy `p`: Policy settings are invalid: unknown key\n- x"),
        (format!("p: {{module: {}}}", missing.display()), vec![], 3, "policy `p`: "),
        ("p: {module: 'registry://example.com/p:1'}".to_owned(), vec![], 3, "pull the policy first"),
        ("p: [".to_owned(), vec![], 4, "policies.yml: not valid YAML at line 1"),
        (String::new(), vec![], 4, "it contains no policy"),
        (format!("a/b: {{{fine}}}"), vec![], 4, "policies.yml: policy `a/b`: the name must not contain `/`"),
        (format!("'': {{{fine}}}"), vec![], 4, "the name of a policy must not be empty"),
        (format!("p: {{{fine}, allowedToMutate: yes}}"), vec![], 4, "string \"yes\", expected a boolean"),
        (format!("p: {{{fine}, timeoutEvalSeconds: 0}}"), vec![], 4, "timeoutEvalSeconds must be at least 1"),
        (format!("p: {{{fine}}}\np: {{{fine}}}"), vec![], 4, "duplicate key `p`"),
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
