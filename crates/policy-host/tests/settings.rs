//! `policy-host settings`, with the policy of this project.

mod support;

use std::fs;

use policy_host::documents;
use serde_json::json;
use support::{
    host::{self, Ran},
    project::CA,
};

/// `policy-host settings ...` with the built policy.
fn host(arguments: &[&str], stdin: &str) -> Ran {
    host::host(&[&["settings"], arguments].concat(), stdin)
}

#[test]
fn valid_settings_are_called_so() {
    let ran = host(&["--settings-json", "{}"], "");
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "valid\n", ""));
    assert_eq!(host(&["-"], "default: true\n").stdout, "valid\n");
}

#[test]
fn all_problems_and_notes_are_reported() {
    let ran = host(&["-"], "defualt: true\nenabled: 1\nimageConsul: consul\n");
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    for expected in
        ["(2 problems):", "did you mean default?", "setting enabled: invalid value 1", "note: imageConsul:"]
    {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
}

#[test]
fn a_policys_manifest_is_taken_for_its_settings() {
    let policy = |name: &str, settings: &str| {
        format!(
            "---\napiVersion: policies.kubewarden.io/v1\nkind: ClusterAdmissionPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{settings: {settings}}}\n"
        )
    };
    let server = "---\napiVersion: policies.kubewarden.io/v1\nkind: PolicyServer\nmetadata: {name: consul}\n";
    let ran = host(&["-"], &(server.to_owned() + &policy("a", "{default: true}") + &policy("b", "null")));
    assert_eq!(
        ran.stdout, "ClusterAdmissionPolicy a: valid\nClusterAdmissionPolicy b: valid\n",
        "{}",
        ran.stderr
    );
    let ran = host(&["-"], &(policy("a", "{defualt: true}") + &policy("b", "{}")));
    assert_eq!((ran.status, ran.stdout.as_str()), (1, "ClusterAdmissionPolicy b: valid\n"));
    assert!(
        ran.stderr.contains("ClusterAdmissionPolicy a: ") && ran.stderr.contains("did you mean default?")
    );
    let ran = host(&["-"], &policy("a", "[]"));
    assert_eq!(ran.status, 4, "{}", ran.stderr);
}

/// kwctl and the policy server read YAML 1.2, in which `yes` is a string; kubectl does not.
#[test]
fn settings_alone_are_read_as_by_kwctl_and_manifests_as_by_kubectl() {
    for word in ["yes", "on", "y"] {
        let ran = host(&["-"], &format!("default: {word}\n"));
        assert_eq!(ran.status, 1);
        assert!(
            ran.stderr.contains(&format!("setting default: invalid value \"{word}\": must be a boolean")),
            "{}",
            ran.stderr
        );
    }
    for number in ["017", "1_000"] {
        let ran = host(&["-"], &format!("agent: {{httpPort: {number}}}\n"));
        assert!(
            ran.stderr.contains(&format!("setting agent.httpPort: invalid value \"{number}\": ")),
            "{}",
            ran.stderr
        );
    }
    let ran = host(&["-"], "tls: &a {enabled: false}\nacls:\n  <<: *a\n");
    assert!(ran.stderr.contains("setting acls.<<"), "{}", ran.stderr);
    let manifest = "apiVersion: policies.kubewarden.io/v1\nkind: ClusterAdmissionPolicy\nmetadata: {name: a}\n\
                    spec: {settings: {default: yes}}\n";
    assert_eq!(host(&["-"], manifest).stdout, "ClusterAdmissionPolicy a: valid\n");
}

#[test]
fn one_source_is_needed() {
    assert_eq!(host(&[], "").status, 2);
    assert_eq!(host(&["-", "--from-helm", "-"], "").status, 2);
}

#[test]
fn values_with_tls_need_the_certificate() {
    let values = "global: {name: mesh, tls: {enabled: true, caCert: {secretName: mesh-ca, secretKey: ca.crt}}}\n\
                  client: {enabled: true}\n";
    let ran = host(&["--from-helm", "-"], values);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains(r"mesh-ca -o jsonpath='{.data.ca\.crt}'"), "{}", ran.stderr);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("ca.pem");
    fs::write(&path, CA).unwrap();
    let ran = host(&["--from-helm", "-", "--ca-cert", path.to_str().unwrap()], values);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let settings = documents::parse_one(&ran.stdout).unwrap();
    assert_eq!(settings, json!({ "tls": { "enabled": true, "caCert": CA } }));
}

#[test]
fn settings_in_yamls_flow_style_are_read() {
    for settings in ["{default: true, }", "{\"default\": true} # as kwctl takes it", "{\"default\": true}"] {
        let ran = host(&["-"], settings);
        assert_eq!((ran.status, ran.stdout.as_str()), (0, "valid\n"), "{settings}: {}", ran.stderr);
    }
    let broken = host(&["-"], "{\"default\": tru");
    assert!(broken.status == 4 && broken.stderr.contains("not valid JSON"), "{}", broken.stderr);
}

#[test]
fn a_typo_is_answered_with_the_nearest_key_and_a_status_of_its_own() {
    let ran = host(
        &["--from-helm", "-", "--mode", "agent"],
        "connectInject: {defualt: true, enabled: true}\nclinet: {grpc: true}\n",
    );
    assert_eq!(ran.status, 10);
    assert_eq!(documents::parse_one(&ran.stdout).unwrap(), json!({ "enabled": true }));
    for expected in [
        "did you mean connectInject.default?",
        "did you mean client?",
        "unknown keys, omitted from the settings: clinet, connectInject.defualt",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    // Settings that the policy rejects take precedence.
    assert_eq!(
        host(&["--from-helm", "-", "--mode", "agent"], "clinet: {}\nconnectInject: {default: 1}\n").status,
        1
    );
}
