//! Published files agree with each other and with the built policy.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
};

use policy_host::documents;
use serde_json::{Map, Value, json};
use support::project::{document, files, nested, outcomes, read, refusal, root, settings};

const PREFIX: &str = "consul.hashicorp.com/";

/// The version of `Cargo.toml`.
fn version() -> String {
    let manifest = read("Cargo.toml");
    manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"').to_owned()
}

fn annotation<'a>(metadata: &'a Value, name: &str) -> &'a str {
    metadata["annotations"][name].as_str().unwrap_or_else(|| panic!("no annotation {name}"))
}

/// The kinds in the rules of `metadata.yml`, in order.
fn kinds(metadata: &Value) -> Vec<&'static str> {
    let rules = metadata["rules"].as_array().unwrap();
    let resources = rules.iter().flat_map(|rule| rule["resources"].as_array().unwrap());
    resources
        .map(|resource| match resource.as_str().unwrap() {
            "pods" => "Pod",
            "replicationcontrollers" => "ReplicationController",
            "deployments" => "Deployment",
            "replicasets" => "ReplicaSet",
            "statefulsets" => "StatefulSet",
            "daemonsets" => "DaemonSet",
            "jobs" => "Job",
            "cronjobs" => "CronJob",
            other => panic!("a rule for {other}"),
        })
        .collect()
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = version();
    let host = read("crates/policy-host/Cargo.toml");
    assert!(host.contains(&format!("\nversion = \"{version}\"\n")), "crates/policy-host/Cargo.toml");
    assert_eq!(annotation(&document("metadata.yml"), "io.kubewarden.policy.version"), version);
    assert_eq!(document("artifacthub-pkg.yml")["version"], json!(version));
    let mut texts = files("docs", ".md");
    texts.extend(files("examples", ".yaml"));
    texts.push("README.md".into());
    for path in texts {
        for rest in read(&path).split("/consul-connect-injector:v").skip(1) {
            assert!(rest.starts_with(&version), "{}: another version than {version}", path.display());
        }
    }
    let changes = read("CHANGELOG.md");
    assert!(changes.contains("\n## [Unreleased]\n"), "CHANGELOG.md: no section for what is to come");
}

#[test]
fn the_metadata_is_what_kwctl_and_the_policy_report_read() {
    let metadata = document("metadata.yml");
    let expected = [
        ("mutating", json!(true)),
        ("contextAwareResources", json!([])),
        ("executionMode", json!("kubewarden-wapc")),
        ("policyType", json!("kubernetes")),
        ("backgroundAudit", json!(false)),
    ];
    for (key, value) in expected {
        assert_eq!(metadata[key], value, "{key}");
    }
    let annotations = metadata["annotations"].as_object().unwrap();
    assert!(annotations.values().all(|value| value.as_str().is_some_and(|text| !text.trim().is_empty())));
    let severity = annotation(&metadata, "io.kubewarden.policy.severity");
    assert!(["info", "low", "medium", "high", "critical"].contains(&severity), "{severity}");
    annotation(&metadata, "io.kubewarden.policy.category");
    annotation(&metadata, "io.kubewarden.policy.license");
    let title = annotation(&metadata, "io.kubewarden.policy.title");
    assert!(
        title.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
        "{title}: not a resource's name"
    );
    let manifest = read("Cargo.toml");
    assert!(manifest.contains(&format!("name = \"{title}\"")));
    let description = annotation(&metadata, "io.kubewarden.policy.description");
    assert!(manifest.contains(&format!("description = \"{description}\"")));
    // `kwctl scaffold artifacthub` wants a reference without a tag, and a mail address.
    let home = annotation(&metadata, "io.kubewarden.policy.ociUrl");
    let (registry, path) = home.split_once('/').unwrap();
    assert!(!path.contains([':', '@']) && registry.contains('.') && home == home.to_lowercase(), "{home}");
    assert!(path.ends_with(title), "{home}");
    let (name, address) = author(&metadata);
    assert!(!name.is_empty() && address.contains('@'), "{name} <{address}>");
    let resources = annotation(&metadata, "io.artifacthub.resources");
    assert_eq!(resources, kinds(&metadata).join(", "));
}

fn author(metadata: &Value) -> (&str, &str) {
    let author = annotation(metadata, "io.kubewarden.policy.author");
    let (name, rest) = author.split_once(" <").unwrap();
    (name, rest.strip_suffix('>').unwrap())
}

/// An object of this kind whose pods request injection.
fn object(kind: &str, on_itself: bool) -> Value {
    let asks = json!({ (format!("{PREFIX}connect-inject")): "true" });
    let spec = json!({ "containers": [{ "name": "web", "image": "web:1" }], "restartPolicy": "Always" });
    let pod = json!({ "metadata": { "annotations": if on_itself { json!({}) } else { asks.clone() } }, "spec": spec });
    let metadata = json!({ "name": "web", "annotations": if on_itself { asks } else { json!({}) } });
    let spec = match kind {
        "Pod" => {
            return json!({ "apiVersion": "v1", "kind": kind, "metadata": pod["metadata"], "spec": pod["spec"] });
        }
        "CronJob" => json!({ "jobTemplate": { "spec": { "template": pod } } }),
        _ => json!({ "template": pod }),
    };
    let version = match kind {
        "ReplicationController" => "v1",
        "Job" | "CronJob" => "batch/v1",
        _ => "apps/v1",
    };
    json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec })
}

#[test]
fn the_rules_are_of_what_the_policy_looks_at() {
    let metadata = document("metadata.yml");
    for kind in kinds(&metadata) {
        let fine = outcomes(&object(kind, false), &json!({}));
        assert!(fine.last().unwrap().injected, "{kind}: {fine:?}");
        if kind != "Pod" {
            let mistaken = outcomes(&object(kind, true), &json!({}));
            assert!(!mistaken[0].warnings.is_empty(), "{kind}: {mistaken:?}");
        }
    }
    for rule in metadata["rules"].as_array().unwrap() {
        let pods = rule["resources"] == json!(["pods"]);
        let operations = if pods { json!(["CREATE"]) } else { json!(["CREATE", "UPDATE"]) };
        assert_eq!(rule["operations"], operations, "{rule}");
    }
    assert_eq!(manifest_of("README.md")["spec"]["rules"], metadata["rules"], "README.md");
}

/// The ClusterAdmissionPolicy in a document.
fn manifest_of(path: &str) -> Value {
    let text = read(path);
    let block = text.split("```yaml\n").skip(1).find(|block| block.contains("kind: ClusterAdmissionPolicy"));
    documents::parse_one(block.unwrap().split("```").next().unwrap()).unwrap()
}

/// The output of `kwctl scaffold artifacthub` for the metadata and the questions, with this
/// project's installation text. kwctl writes the same provider and recommendations for every
/// policy: they are not in the metadata.
fn artifact_hub_package() -> Value {
    let metadata = document("metadata.yml");
    let text = |name: &str| annotation(&metadata, name).to_owned();
    let home = format!("{}:v{}", text("io.kubewarden.policy.ociUrl"), version());
    let (name, address) = author(&metadata);
    let mut package = json!({
        "version": version(),
        "name": text("io.kubewarden.policy.title"),
        "displayName": text("io.artifacthub.displayName"),
        "createdAt": document("artifacthub-pkg.yml")["createdAt"],
        "description": text("io.kubewarden.policy.description"),
        "license": text("io.kubewarden.policy.license"),
        "keywords": text("io.artifacthub.keywords").split(", ").collect::<Vec<_>>(),
        "containersImages": [{ "name": "policy", "image": home }],
        "install": format!(
            "Pull the policy and let kwctl write a manifest:\n\n```console\nkwctl pull registry://{home}\n\
             kwctl scaffold manifest -t ClusterAdmissionPolicy registry://{home}\n```\n\nThe manifest has no \
             settings, which is agent mode, and applies to all namespaces. Add your settings, and a \
             namespaceSelector that leaves out the system namespaces, as in the README.\n"
        ),
        "maintainers": [{ "name": name, "email": address }],
        "provider": { "name": "kubewarden" },
        "recommendations": [{ "url": "https://artifacthub.io/packages/helm/kubewarden/kubewarden-controller" }],
        "annotations": {
            "kubewarden/mutation": metadata["mutating"].to_string(),
            "kubewarden/resources": text("io.artifacthub.resources"),
            "kubewarden/rules": documents::to_yaml(&metadata["rules"]),
            "kubewarden/questions-ui": read("questions-ui.yml"),
        },
    });
    let annotations = metadata["annotations"].as_object().unwrap();
    if let Some(source) = annotations.get("io.kubewarden.policy.source") {
        package["homeURL"] = annotations["io.kubewarden.policy.url"].clone();
        package["links"] = json!([{ "name": "source", "url": source }]);
    }
    package
}

/// `UPDATE=1 cargo test -p policy-host --test publish` updates the file.
#[test]
fn artifact_hub_gets_what_the_metadata_says() {
    let (path, expected) = ("artifacthub-pkg.yml", artifact_hub_package());
    if env::var_os("UPDATE").is_some() && document(path) != expected {
        let head = "# Artifact Hub's view of the policy, made of metadata.yml and questions-ui.yml:\n\
                    # UPDATE=1 cargo test -p policy-host --test publish\n";
        fs::write(root().join(path), format!("{head}{}", documents::to_yaml(&expected))).unwrap();
    }
    let written = document(path);
    assert_eq!(written, expected, "run UPDATE=1 cargo test -p policy-host --test publish");
    let created = written["createdAt"].as_str().unwrap();
    let form = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    assert!(created.len() == 20 && created.bytes().enumerate().all(form), "{created}");
}

/// All steps of all jobs, with their files.
fn steps() -> Vec<(String, Value)> {
    let mut steps = Vec::new();
    for path in files(".github/workflows", ".yml") {
        let workflow = document(&path);
        let name = path.display().to_string();
        assert_eq!(
            workflow["permissions"],
            json!({ "contents": "read" }),
            "{name}: what the rest may not have"
        );
        for (job, body) in workflow["jobs"].as_object().unwrap() {
            let name = format!("{name}: {job}");
            let Some(list) = body.get("steps") else {
                steps.push((name, body.clone()));
                continue;
            };
            assert!(body.get("timeout-minutes").is_some(), "{name}: no limit");
            steps.extend(list.as_array().unwrap().iter().map(|step| (name.clone(), step.clone())));
        }
    }
    steps
}

#[test]
fn workflows_use_what_is_pinned_and_run_what_is_there() {
    let makefile = read("Makefile");
    let mut used = BTreeSet::new();
    for (name, step) in steps() {
        if let Some(action) = step.get("uses").and_then(Value::as_str) {
            used.insert(action.to_owned());
            if let Some(own) = action.strip_prefix("./") {
                assert!(root().join(own).is_file(), "{name}: {action}");
                continue;
            }
            let (_, commit) = action.split_once('@').unwrap_or_else(|| panic!("{name}: {action}"));
            let pinned = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(pinned, "{name}: {action} is not pinned to a commit");
        }
        let Some(script) = step.get("run").and_then(Value::as_str) else { continue };
        assert!(
            !script.contains("${{"),
            "{name}: an expression in a script, where it is code: put it into env"
        );
        for command in script.split(['\n', ';', '|', '&']).map(str::trim) {
            let words: Vec<_> = command.split_whitespace().collect();
            for target in words.iter().skip_while(|word| **word != "make").skip(1) {
                let there = makefile.contains(&format!("\n{target}:"));
                assert!(there || target.starts_with('"'), "{name}: make {target}");
            }
            for script in words.iter().filter(|word| word.starts_with("scripts/")) {
                assert!(root().join(script).is_file(), "{name}: {script}");
            }
        }
    }
    // Pinned digests have the version as a comment.
    for path in files(".github/workflows", ".yml") {
        for line in read(&path).lines().filter(|line| line.contains("uses: ") && line.contains('@')) {
            assert!(line.contains(" # v"), "{}: {line}", path.display());
        }
    }
    for needed in ["policy-release", "kwctl-installer", "actions/attest@"] {
        assert!(used.iter().any(|action| action.contains(needed)), "{needed}");
    }
}

#[test]
fn workflows_build_with_one_compiler() {
    let manifest = read("Cargo.toml");
    let least =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let mut versions = BTreeSet::new();
    for path in files(".github/workflows", ".yml") {
        versions.extend(
            read(&path)
                .lines()
                .filter_map(|line| Some(line.trim().strip_prefix("RUST_VERSION: ")?.to_owned())),
        );
    }
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert!(
        versions.first().unwrap().starts_with(&format!("\"{least}.")),
        "{versions:?}: Cargo.toml wants {least}"
    );
}

fn questions() -> Vec<Map<String, Value>> {
    let questions = document("questions-ui.yml");
    questions["questions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|question| question.as_object().unwrap().clone())
        .collect()
}

fn variable(question: &Map<String, Value>) -> &str {
    question["variable"].as_str().unwrap()
}

#[test]
fn the_questions_are_the_settings() {
    let schemas: BTreeMap<_, _> = settings().0.into_iter().collect();
    let questions = questions();
    let asked: Vec<_> = questions.iter().map(|question| variable(question).to_owned()).collect();
    assert_eq!(asked.iter().collect::<BTreeSet<_>>(), schemas.keys().collect());
    assert_eq!(asked.len(), schemas.len(), "asked twice");
    let mut labels = BTreeSet::new();
    for question in &questions {
        let name = variable(question);
        let schema = &schemas[name];
        for key in question.keys() {
            let known = [
                "variable", "group", "label", "tooltip", "type", "default", "options", "min", "max",
                "required", "show_if",
            ];
            assert!(known.contains(&key.as_str()), "{name}: {key}");
        }
        assert_eq!(question["tooltip"], schema["description"], "{name}");
        assert_eq!(question["default"], schema["default"], "{name}");
        assert!(
            labels.insert((question["group"].as_str().unwrap(), question["label"].as_str().unwrap())),
            "{name}"
        );
        let kind = match (schema["type"][0].as_str().unwrap(), schema.get("enum")) {
            (_, Some(options)) => {
                let options: Vec<_> =
                    options.as_array().unwrap().iter().filter(|value| !value.is_null()).collect();
                assert_eq!(
                    question["options"].as_array().unwrap().iter().collect::<Vec<_>>(),
                    options,
                    "{name}"
                );
                "enum"
            }
            ("string", _) if name == "tls.caCert" => "multiline",
            ("integer", _) => {
                assert_eq!(
                    (&question["min"], &question["max"]),
                    (&schema["minimum"], &schema["maximum"]),
                    "{name}"
                );
                "int"
            }
            ("array", _) => "array[",
            ("object", _) => "map[",
            (other, _) => other,
        };
        assert_eq!(question["type"], kind, "{name}");
    }
}

#[test]
fn the_questions_of_a_group_are_adjacent() {
    let questions = questions();
    let mut groups: Vec<_> = questions.iter().map(|question| question["group"].as_str().unwrap()).collect();
    groups.dedup();
    assert_eq!(groups.len(), groups.iter().collect::<BTreeSet<_>>().len(), "{groups:?}");
}

/// The settings of an empty form, or of a form with one different answer.
fn form(answer: Option<(&str, Value)>) -> Value {
    let mut form = json!({});
    let questions = questions();
    let value = |name: &str| match &answer {
        Some((answered, value)) if *answered == name => value.clone(),
        _ => questions.iter().find(|question| variable(question) == name).unwrap()["default"].clone(),
    };
    for question in &questions {
        let conditions =
            question.get("show_if").and_then(Value::as_str).into_iter().flat_map(|all| all.split("&&"));
        let mut conditions = conditions.map(|condition| condition.split_once('=').unwrap());
        // Hidden questions are not sent.
        let is_met = |(name, wanted): (&str, &str)| value(name).to_string().trim_matches('"') == wanted;
        if conditions.all(is_met) {
            merge(&mut form, nested(variable(question), value(variable(question))));
        }
    }
    form
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[test]
fn an_empty_form_is_valid() {
    assert_eq!(refusal(&form(None)), None);
    for question in questions() {
        for option in question.get("options").and_then(Value::as_array).into_iter().flatten() {
            assert_eq!(refusal(&form(Some((variable(&question), option.clone())))), None, "{option}");
        }
    }
}

/// Conditions refer to other questions, and to values that these can have.
#[test]
fn conditions_are_of_other_questions() {
    let questions = questions();
    let mut conditional = BTreeSet::new();
    for question in &questions {
        let Some(condition) = question.get("show_if").and_then(Value::as_str) else { continue };
        conditional.insert(variable(question));
        for part in condition.split("&&") {
            let (name, value) = part.split_once('=').unwrap();
            let other = questions.iter().find(|other| variable(other) == name);
            let other = other.unwrap_or_else(|| panic!("{condition}: no question {name}"));
            let values: Vec<&str> = match other["type"].as_str() {
                Some("boolean") => vec!["true", "false"],
                Some("enum") => {
                    other["options"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
                }
                other => panic!("{condition}: {other:?}"),
            };
            assert!(values.contains(&value) && name != variable(question), "{condition}");
        }
    }
    // Settings that need a switch are shown only if it is on.
    for (switch, block) in
        [("tls.enabled", "tls."), ("acls.enabled", "acls."), ("centralConfig.enabled", "centralConfig.")]
    {
        for question in questions.iter().filter(|question| variable(question).starts_with(block)) {
            assert!(
                variable(question) == switch || conditional.contains(variable(question)),
                "{}",
                variable(question)
            );
        }
    }
    for question in questions.iter().filter(|question| variable(question).starts_with("consulNamespaces.")) {
        assert!(question["show_if"].as_str().unwrap().contains("enableConsulNamespaces=true"));
    }
}

/// All objects in the examples with their files, except kustomizations.
fn examples() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for path in files("examples", ".yaml") {
        let name = path.to_string_lossy().into_owned();
        let objects = documents::parse(&read(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!objects.is_empty(), "{name}: empty");
        found.extend(objects.into_iter().map(|object| (name.clone(), object)));
    }
    found.retain(|(_, object)| object["kind"] != "Kustomization");
    found
}

fn is_policy(object: &Value) -> bool {
    object["kind"].as_str().is_some_and(|kind| kind.ends_with("AdmissionPolicy"))
}

#[test]
fn the_policies_of_the_examples_are_the_metadata_with_valid_settings() {
    let metadata = document("metadata.yml");
    let home = format!("registry://{}:v{}", annotation(&metadata, "io.kubewarden.policy.ociUrl"), version());
    let mut policies: Vec<_> = examples().into_iter().filter(|(_, object)| is_policy(object)).collect();
    assert!(policies.iter().any(|(_, object)| object["kind"] == "AdmissionPolicy"));
    policies.push(("README.md".to_owned(), manifest_of("README.md")));
    for (path, policy) in policies {
        let spec = &policy["spec"];
        for key in ["rules", "mutating", "backgroundAudit"] {
            assert_eq!(spec[key], metadata[key], "{path}: {key}");
        }
        assert_eq!(spec["module"], json!(home), "{path}");
        assert_eq!(refusal(&spec["settings"]), None, "{path}");
        if path != "README.md" {
            for name in ["io.kubewarden.policy.category", "io.kubewarden.policy.severity"] {
                assert_eq!(
                    policy["metadata"]["annotations"][name], metadata["annotations"][name],
                    "{path}: {name}"
                );
            }
        }
        if policy["kind"] == "AdmissionPolicy" {
            continue; // It is its own namespace's.
        }
        // System namespaces and Kubewarden's own are excluded. Further expressions only select
        // fewer namespaces.
        let expressions = spec["namespaceSelector"]["matchExpressions"].as_array().unwrap();
        assert_eq!(expressions[0]["key"], "kubernetes.io/metadata.name", "{path}");
        let named: BTreeSet<_> =
            expressions[0]["values"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for system in ["kube-system", "kube-public", "kube-node-lease", "kubewarden", "consul"] {
            assert_eq!(named.contains(system), expressions[0]["operator"] == "NotIn", "{path}: {system}");
        }
    }
}

#[test]
fn the_pods_of_the_examples_are_injected_without_a_warning() {
    let mut injected = BTreeSet::new();
    for (path, object) in examples() {
        if is_policy(&object)
            || ["PolicyServer", "ServiceAccount"].contains(&object["kind"].as_str().unwrap())
        {
            continue;
        }
        let acls = json!({ "acls": { "enabled": true } });
        for outcome in [json!({}), acls].iter().flat_map(|settings| outcomes(&object, settings)) {
            let pod = outcome.title.starts_with("Pod ");
            assert!(outcome.allowed && outcome.warnings.is_empty(), "{path}: {outcome:?}");
            assert_eq!(outcome.injected, pod, "{path}: {outcome:?}");
            injected.extend(pod.then(|| path.clone()));
        }
    }
    let expected =
        ["deployment", "job", "static-client", "static-server"].map(|name| format!("examples/{name}.yaml"));
    assert_eq!(injected, BTreeSet::from(expected));
}

#[test]
fn the_policy_server_is_of_the_version_that_the_examples_are_checked_against() {
    let pinned = read("scripts/crds/go.mod");
    let pinned = pinned
        .lines()
        .find_map(|line| line.strip_prefix("require github.com/kubewarden/kubewarden-controller "));
    let image = document("examples/base/policy-server.yaml")["spec"]["image"].as_str().unwrap().to_owned();
    assert_eq!(image.rsplit_once(':').unwrap().1, pinned.unwrap());
}

#[test]
fn the_kustomizations_name_what_there_is() {
    let kustomizations = files("examples", "kustomization.yaml");
    assert_eq!(kustomizations.len(), 2);
    for path in kustomizations {
        let (kustomization, folder) = (document(&path), root().join(path.parent().unwrap()));
        for resource in kustomization["resources"].as_array().unwrap() {
            let resource = folder.join(resource.as_str().unwrap());
            assert!(
                resource.is_file() || resource.join("kustomization.yaml").is_file(),
                "{}",
                resource.display()
            );
        }
        for patch in kustomization["patches"].as_array().into_iter().flatten() {
            let patch = documents::parse_one(patch["patch"].as_str().unwrap()).unwrap();
            let target = document("examples/base/policy.yaml");
            for key in ["apiVersion", "kind"] {
                assert_eq!(patch[key], target[key], "{}", path.display());
            }
            assert_eq!(patch["metadata"]["name"], target["metadata"]["name"], "{}", path.display());
            assert_eq!(refusal(&patch["spec"]["settings"]), None, "{}", path.display());
        }
    }
}

#[test]
#[ignore = "needs Kubewarden's definitions: make crds"]
fn the_custom_resources_fit_their_definitions() {
    let folder = env::var("KUBEWARDEN_CRDS").unwrap();
    let mut checked = BTreeSet::new();
    let mut objects = examples();
    objects.push(("README.md".to_owned(), manifest_of("README.md")));
    for (path, object) in objects {
        if object["apiVersion"] != "policies.kubewarden.io/v1" {
            continue;
        }
        let kind = object["kind"].as_str().unwrap().to_owned();
        let plural =
            kind.to_lowercase().replace("policy", "policies").replace("policiesserver", "policyserver");
        let plural = if plural.ends_with('s') { plural } else { format!("{plural}s") };
        let file = format!("{folder}/policies.kubewarden.io_{plural}.yaml");
        let definition = documents::parse_one(&fs::read_to_string(&file).unwrap()).unwrap();
        let versions = definition["spec"]["versions"].as_array().unwrap();
        let schema =
            &versions.iter().find(|version| version["name"] == "v1").unwrap()["schema"]["openAPIV3Schema"];
        let mut flaws = Vec::new();
        misfits(&object, schema, &path, &mut flaws);
        assert!(flaws.is_empty(), "{flaws:#?}");
        // The check itself: it finds an unknown field.
        let mut wrong = object;
        wrong["spec"]["mutatign"] = json!(true);
        misfits(&wrong, schema, &path, &mut flaws);
        assert_eq!(flaws.len(), 1, "{flaws:#?}");
        checked.insert(kind);
    }
    assert_eq!(checked.len(), 3, "{checked:?}");
}

/// What an API server would reject or drop with a structural schema.
fn misfits(value: &Value, schema: &Value, at: &str, flaws: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        _ => schema["x-kubernetes-int-or-string"] == true && (value.is_string() || value.is_i64()),
    };
    if !fits {
        flaws.push(format!("{at}: {value} is not of type {}", schema["type"]));
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|known| !known.contains(value)) {
        flaws.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        misfits(item, &schema["items"], &format!("{at}[{index}]"), flaws);
    }
    let Some(object) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            flaws.push(format!("{at}: {name} is missing"));
        }
    }
    let (properties, additional) = (&schema["properties"], &schema["additionalProperties"]);
    for (key, field) in object {
        let at = format!("{at}.{key}");
        match (properties.get(key), additional) {
            // All objects have `metadata`, which schemas do not describe.
            (Some(field_schema), _) if key == "metadata" && field_schema.get("properties").is_none() => (),
            (Some(field_schema), _) => misfits(field, field_schema, &at, flaws),
            (None, Value::Object(_)) => misfits(field, additional, &at, flaws),
            (None, _) => flaws.push(format!("{at}: there is no such field")),
        }
    }
}
