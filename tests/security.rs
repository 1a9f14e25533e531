//! Checks `docs/security.md` and `docs/dependencies.md` against the module, its metadata and
//! the tests that they name.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use policy_host::documents;
use wasmparser::{Parser, Payload};

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The module's imports, as `module function`.
fn imports() -> BTreeSet<String> {
    let wasm = fs::read("policy.wasm").expect("`make policy.wasm` builds it");
    let mut imports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&wasm) {
        if let Payload::ImportSection(section) = payload.unwrap() {
            for import in section {
                let import = import.unwrap();
                imports.insert(format!("{} {}", import.module, import.name));
            }
        }
    }
    imports
}

/// The imports from WASI are those of the standard library: random numbers for hash maps, the
/// (empty) environment, a panic's message, and the exit.
#[test]
fn the_module_can_do_nothing_but_answer() {
    let may = [
        "wapc __guest_request",
        "wapc __guest_response",
        "wapc __guest_error",
        "wapc __console_log",
        "wapc __host_call",
        "wapc __host_response_len",
        "wapc __host_response",
        "wapc __host_error_len",
        "wapc __host_error",
        "wasi_snapshot_preview1 random_get",
        "wasi_snapshot_preview1 environ_get",
        "wasi_snapshot_preview1 environ_sizes_get",
        "wasi_snapshot_preview1 fd_write",
        "wasi_snapshot_preview1 proc_exit",
    ];
    let imports = imports();
    assert!(imports.contains("wapc __guest_request"), "{imports:?}");
    let more: Vec<_> = imports.iter().filter(|import| !may.contains(&import.as_str())).collect();
    assert!(more.is_empty(), "the module imports {more:?}");
}

#[test]
fn the_metadata_asks_for_no_resource() {
    let metadata = documents::parse(&read("metadata.yml")).unwrap().remove(0);
    assert_eq!(metadata["contextAwareResources"].as_array().map(Vec::len), Some(0));
    let known = [
        "rules",
        "mutating",
        "contextAwareResources",
        "executionMode",
        "policyType",
        "backgroundAudit",
        "minimumKubewardenVersion",
        "annotations",
    ];
    let keys = metadata.as_object().unwrap().keys();
    let more: Vec<_> = keys.filter(|key| !known.contains(&key.as_str())).collect();
    assert!(more.is_empty(), "{more:?}");
}

/// Tests are named as `` `path: name` ``; for a scenario, the part before the colon is enough.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = read("docs/security.md");
    let mut named = 0;
    for row in
        text.lines().filter(|line| line.starts_with("| ") && line.contains(".rs") | line.contains(".bats"))
    {
        for span in row.split('`').skip(1).step_by(2) {
            let Some((path, name)) = span.split_once(": ") else { continue };
            if !path.contains('/') {
                continue;
            }
            named += 1;
            let source = read(path);
            let found = match path.ends_with(".rs") {
                true => source.contains(&format!("fn {name}(")),
                false => [format!("@test \"{name}\""), format!("@test \"{name}: ")]
                    .iter()
                    .any(|test| source.contains(test)),
            };
            assert!(found, "{path} has no test {name}");
        }
    }
    assert!(named > 30, "only {named} are named");
    let (_, defended) = text.split_once("## What is defended").unwrap();
    let (defended, _) = defended.split_once("## What is not defended").unwrap();
    let untested = defended.lines().find(|line| {
        line.starts_with("| ")
            && !line.starts_with("| claim")
            && !line.contains(".rs: ")
            && !line.contains(".bats: ")
    });
    assert_eq!(untested, None, "a claim without a test");
}

#[test]
fn every_crate_in_the_module_is_in_the_list() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "consul-connect-injector"])
        .args(["--target", "wasm32-wasip1", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--format", "{p}"])
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let used: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let used: BTreeSet<&str> =
        used.into_iter().filter(|name| !name.is_empty() && *name != env!("CARGO_PKG_NAME")).collect();
    assert!(used.contains("k8s-openapi"), "{tree}");

    let list = read("docs/dependencies.md");
    let (in_module, _) = list.split_once("## ").unwrap_or((&list, ""));
    let rows = in_module.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut listed = BTreeSet::new();
    for (name, what) in rows {
        assert!(what.trim_end_matches(" |").len() > 10, "{name}: what is it for?");
        assert!(listed.insert(name), "{name} is there twice");
    }
    let missing: Vec<_> = used.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&used).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/dependencies.md lacks {missing:?} and has {gone:?} too many"
    );
}
