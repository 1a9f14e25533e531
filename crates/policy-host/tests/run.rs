//! Output and exit status of `policy-host run`.

mod support;

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use support::{
    Behavior, accept,
    host::{Ran, host},
    policy, policy_with,
};
use tempfile::TempDir;

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: web
    image: web:1
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - {name: web, image: 'web:1'}
";

/// A folder with a policy, in which to run the command.
struct Bench {
    folder: TempDir,
    wasm: PathBuf,
}

impl Bench {
    fn new(wasm: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("policy.wasm");
        fs::write(&path, wasm).unwrap();
        Self { folder, wasm: path }
    }

    fn of(behavior: &Behavior) -> Self {
        Self::new(&policy(behavior))
    }

    fn answering(answer: Value) -> Self {
        Self::of(&Behavior::Answer(answer))
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `run POLICY -r FILE ...` with the request as standard input.
    fn run(&self, request: &str, arguments: &[&str]) -> Ran {
        let mut all = vec!["run", self.wasm.to_str().unwrap(), "-r", "-"];
        all.extend(arguments);
        host(&all, request)
    }
}

fn request() -> Value {
    json!({
        "uid": "u-1",
        "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "resource": { "group": "", "version": "v1", "resource": "pods" },
        "operation": "CREATE",
        "userInfo": {},
        "object": { "a": 1 },
    })
}

/// Injects a sidecar into the pod of [`POD`].
fn injecting() -> Value {
    json!({
        "accepted": true,
        "mutated_object": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "web",
                "namespace": "default",
                "annotations": { "consul.hashicorp.com/connect-service": "web" },
            },
            "spec": {
                "containers": [{ "name": "web", "image": "web:1" }],
                "initContainers": [{ "name": "proxy", "image": "envoy:1", "restartPolicy": "Always" }],
            },
        },
        "audit_annotations": { "connect-inject-reason": "it asks" },
    })
}

fn rejecting() -> Value {
    json!({ "accepted": false, "message": "two problems\n- a\n- b", "code": 422 })
}

#[test]
fn a_request_and_a_review_give_kwctls_json() {
    let bench = Bench::answering(accept());
    let expected = "{\"uid\":\"u-1\",\"allowed\":true,\"auditAnnotations\":null,\"warnings\":null}\n";
    let review =
        json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request() });
    for input in [request(), review] {
        let ran = bench.run(&input.to_string(), &[]);
        assert_eq!((ran.status, ran.stdout.as_str()), (0, expected), "{}", ran.stderr);
    }
    let path = bench.file("request.json", &request().to_string());
    let url = format!("file://{}", bench.wasm.display());
    let ran = host(
        &[
            "-v",
            "run",
            "--request-path",
            &path,
            "-e",
            "kubewarden-wapc",
            "--no-color",
            "--disable-wasmtime-cache",
            "--allow-context-aware",
            "--allowed-host-capabilities",
            "oci/*",
            "net/v1/dns_lookup_host",
            "--settings-json",
            "{}",
            &url,
        ],
        "",
    );
    assert_eq!((ran.status, ran.stdout.as_str()), (0, expected), "{}", ran.stderr);
}

#[test]
fn a_rejection_is_an_answer_and_no_failure() {
    let mut answer = rejecting();
    answer["warnings"] = json!(["w"]);
    answer["audit_annotations"] = json!({ "k": "v" });
    let bench = Bench::answering(answer);
    let ran = bench.run(&request().to_string(), &[]);
    assert_eq!(ran.status, 0);
    assert_eq!(
        ran.stdout,
        "{\"uid\":\"u-1\",\"allowed\":false,\"status\":{\"message\":\"two problems\\n- a\\n- b\",\"code\":422},\
         \"auditAnnotations\":{\"k\":\"v\"},\"warnings\":[\"w\"]}\n"
    );
    let ran = bench.run(&request().to_string(), &["--fail-on-rejection"]);
    assert_eq!(ran.status, 9);
}

#[test]
fn a_manifest_gives_a_diff_and_a_summary() {
    let ran = Bench::answering(injecting()).run(POD, &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "\
--- Pod default/web
+++ Pod default/web, as the policy returns it
@@ -2,8 +2,14 @@
 kind: Pod
 metadata:
   name: web
+  annotations:
+    consul.hashicorp.com/connect-service: web
   namespace: default
 spec:
   containers:
   - name: web
     image: web:1
+  initContainers:
+  - name: proxy
+    image: envoy:1
+    restartPolicy: Always
✓ Pod default/web injected
  reason      it asks
  service     web
  port        none: it only calls others
  containers  proxy  sidecar    envoy:1
"
    );
}

#[test]
fn a_workload_and_its_pod_are_both_requests() {
    let bench = Bench::answering(rejecting());
    let ran = bench.run(DEPLOYMENT, &["-o", "summary"]);
    assert_eq!(
        ran.stdout,
        "\
✗ Deployment shop/web rejected (422)
  problem     two problems
              - a
              - b
✗ Pod shop/web-* rejected (422)  the pod of Deployment shop/web
  problem     two problems
              - a
              - b
"
    );
    let json = bench.run(DEPLOYMENT, &["-o", "json"]);
    assert_eq!(json.stdout.lines().count(), 1);
}

#[test]
fn several_documents_and_lists_are_run_one_by_one() {
    let bench = Bench::answering(accept());
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" } }] });
    let ran = bench.run(&format!("{POD}---\n{POD}---\n{list}\n"), &["-o", "summary", "-n", "shop"]);
    assert_eq!(
        ran.stdout,
        "· Pod shop/web accepted unchanged\n\
         · Pod shop/web accepted unchanged\n\
         · ConfigMap shop/c accepted unchanged\n"
    );
}

#[test]
fn yaml_is_the_object_for_another_program() {
    let ran = Bench::answering(injecting()).run(POD, &["-o", "yaml"]);
    assert!(ran.stdout.starts_with("---\napiVersion: v1\nkind: Pod\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("  initContainers:\n  - name: proxy\n    image: envoy:1\n"),
        "{}",
        ran.stdout
    );
    let ran = Bench::answering(rejecting()).run(POD, &["-o", "yaml"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (9, ""));
    assert!(ran.stderr.contains("two problems"), "{}", ran.stderr);
}

#[test]
fn a_diff_without_a_change_says_why() {
    let ran = Bench::answering(accept()).run(POD, &["-o", "diff"]);
    assert_eq!(ran.stdout, "· Pod default/web accepted unchanged\n");
}

#[test]
fn colors_are_for_terminals_and_on_request() {
    let bench = Bench::answering(injecting());
    assert!(!bench.run(POD, &[]).stdout.contains('\u{1b}'));
    assert!(bench.run(POD, &["--color", "always"]).stdout.contains("\u{1b}[32m+  annotations:"));
}

#[test]
fn invalid_settings_are_reported_with_the_policys_message() {
    let answer = json!({ "valid": false, "message": "the settings have 2 problems\n- a\n- b" });
    let bench = Bench::new(&policy_with(&Behavior::Trap, &Behavior::Answer(answer)));
    let ran = bench.run(POD, &["--settings-json", "{\"x\": 1}"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert_eq!(
        ran.stderr,
        "Error: Provided settings are not valid: the settings have 2 problems\n- a\n- b\n"
    );
}

#[test]
fn a_policy_that_does_not_answer_has_a_status_of_its_own() {
    for (behavior, status, message, reported) in [
        (
            Behavior::Trap,
            6,
            "the policy trapped in `validate`: wasm trap: wasm `unreachable`",
            "internal server error: Guest call failure: wasm trap: wasm `unreachable`",
        ),
        (
            Behavior::Error("out of cheese"),
            7,
            "the policy returned an error from `validate`: out of cheese",
            "internal server error: Guest call failure: out of cheese",
        ),
        (
            Behavior::Bytes(b"{}".to_vec()),
            7,
            "is invalid: missing field `accepted`",
            "internal server error: invalid response from policy: missing field `accepted`",
        ),
        (
            Behavior::Loop,
            8,
            "`validate` took longer than 1s\n  hint: use --timeout 0",
            "Policy execution interrupted because it exceeded the allowed execution time",
        ),
    ] {
        let ran = Bench::of(&behavior).run(&request().to_string(), &["--timeout", "1"]);
        assert_eq!(ran.status, status, "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
        // kwctl prints a response, too.
        let response: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(response["status"]["code"], 500);
        let said = response["status"]["message"].as_str().unwrap();
        assert!(said.starts_with(reported), "{said}");
    }
}

#[test]
fn what_cannot_be_used_is_named_with_its_place() {
    let bench = Bench::answering(accept());
    let wasm = bench.wasm.to_str().unwrap();
    let pod = bench.file("pod.yaml", POD);
    let text = bench.file("notes.txt", "hello\n");
    let json = bench.file("broken.json", "{\n  \"a\": 1,\n}");
    let yaml = bench.file("broken.yaml", "a: b\n c: d: e\n");
    let list = bench.file("list.yaml", "- a\n");
    let empty = bench.file("empty.json", "");
    let twice = bench.file("twice.yaml", "a: 1\na: 2\n");
    let missing = format!("{pod}.missing");
    for (arguments, status, message) in [
        (vec!["run", &missing, "-r", &pod], 3, "cannot read the policy"),
        (vec!["run", wasm, "-r", &missing], 3, "pod.yaml.missing: No such file"),
        (vec!["run", wasm, "-r", &pod, "-s", &missing], 3, "pod.yaml.missing: No such file"),
        (vec!["run", "registry://example.com/p:1", "-r", &pod], 3, "pull the policy first"),
        (vec!["run", wasm, "-r", &json], 4, "broken.json: not valid JSON at line 3, column 1"),
        (vec!["run", wasm, "-r", &yaml], 4, "broken.yaml: not valid YAML at line 2, column"),
        (vec!["run", wasm, "-r", &text], 4, "notes.txt: Invalid request object\n  hint: expected"),
        (vec!["run", wasm, "-r", &pod, "--settings-json", "{"], 4, "Cannot parse settings JSON"),
        (vec!["run", wasm, "-r", &pod, "-s", &list], 4, "the settings must be an object"),
        (vec!["run", &text, "-r", &pod], 5, "not a WebAssembly module"),
        (
            vec!["run", &pod, "-r", &pod],
            5,
            "pod.yaml: does not contain the manifest of a policy\n  hint: POLICY must be",
        ),
        (vec!["run", wasm, "-r", &empty], 4, "empty.json: it contains no document"),
        (
            vec!["run", wasm, "-r", &pod, "-s", &twice],
            4,
            "twice.yaml: not valid YAML at line 2, column 1: duplicate key `a`",
        ),
        (vec!["run", wasm], 2, "--request-path"),
        (vec!["run", wasm, "-r", &pod, "-e", "opa"], 2, "kubewarden"),
    ] {
        let ran = host(&arguments, "");
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.to_lowercase().starts_with("error: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let ran = bench.run("{\"uid\": \"u\"}", &[]);
    assert!(ran.stderr.contains("cannot build AdmissionRequest object from given input: missing field"));
}

fn manifest(module: &str, rest: &str) -> String {
    format!(
        "apiVersion: policies.kubewarden.io/v1\nkind: ClusterAdmissionPolicy\nmetadata: {{name: injector}}\n\
         spec:\n  module: {module}\n  rules: []\n{rest}"
    )
}

#[test]
fn the_manifest_of_a_policy_is_run_as_its_policy_server_would() {
    let bench = Bench::answering(json!({ "accepted": true, "mutated_object": { "a": 2 } }));
    let url = format!("file://{}", bench.wasm.display());
    let ask = |manifest: &str, arguments: &[&str]| {
        let path = bench.file("policy.yaml", manifest);
        let mut all = vec!["run", &path, "-r", "-"];
        all.extend(arguments);
        host(&all, &request().to_string())
    };
    let response = |ran: &Ran| -> Value { serde_json::from_str(&ran.stdout).unwrap() };

    let ran = ask(&manifest(&url, "  mutating: true\n"), &[]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(response(&ran)["patchType"], "JSONPatch");
    // As kubectl reads it: yes is true.
    assert_eq!(response(&ask(&manifest(&url, "  mutating: yes\n"), &[]))["allowed"], true);

    let ran = ask(&manifest(&url, "  mutating: false\n"), &[]);
    let message = response(&ran)["status"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Request rejected by policy injector. "), "{message}");
    let ran = ask(&manifest(&url, "  mutating: false\n  message: ask us\n"), &["--fail-on-rejection"]);
    assert_eq!((ran.status, &response(&ran)["status"]["message"]), (9, &json!("ask us")));
    let ran = ask(&manifest(&url, "  mode: monitor\n"), &[]);
    assert_eq!((&response(&ran)["allowed"], response(&ran).get("patch")), (&json!(true), None));

    // All policies of a file get the same requests.
    let two = manifest(&url, "  mutating: true\n");
    let ran = ask(&format!("{two}---\n{two}"), &["-s", "elsewhere.yaml"]);
    assert_eq!((ran.status, ran.stdout.lines().count()), (0, 2), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("note: the settings are those of "), "{}", ran.stderr);

    for (text, arguments, status, message) in [
        (
            manifest("registry://example.com/p:1", ""),
            vec![],
            3,
            "Error: ClusterAdmissionPolicy injector: `registry://example.com/p:1`: only a path or a file:// URL",
        ),
        (manifest("registry://example.com/p:1", ""), vec![], 3, "policy-host run policy.wasm -s "),
        (
            manifest(&url, "  setings: {}\n"),
            vec![],
            4,
            "ClusterAdmissionPolicy injector: there is no field `setings`; did you mean `spec.settings`?",
        ),
        (
            manifest(&url, "settings: {}\n"),
            vec![],
            4,
            "there is no field `settings`; did you mean `spec.settings`?",
        ),
        (
            manifest(&url, "").replace(&format!("  module: {url}\n"), "  mutating: true\n"),
            vec![],
            4,
            "missing field `module`",
        ),
        (manifest(&url, "  settings: [1]\n"), vec![], 4, "the settings must be an object"),
        (manifest(&url, "  mode: loud\n"), vec![], 4, "unknown variant `loud`"),
        (
            manifest(&url, "").replace("Policy\n", "PolicyGroup\n"),
            vec![],
            5,
            "policy groups are not supported",
        ),
    ] {
        let ran = ask(&text, &arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}

#[test]
fn the_guests_log_goes_to_standard_error() {
    let line = json!({ "level": "debug", "message": "hello", "file": "src/a.rs", "line": 7 });
    let bench = Bench::of(&Behavior::HostCall(["kubewarden", "tracing", "log"], line));
    assert_eq!(bench.run(POD, &["-o", "summary"]).stderr, "");
    assert_eq!(bench.run(POD, &["-o", "summary", "-v"]).stderr, "policy log: DEBUG hello (src/a.rs:7)\n");
}
