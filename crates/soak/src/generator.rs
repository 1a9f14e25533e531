//! Structure-aware mutations of real requests and settings.

use serde_json::{Value, json};

use crate::catalogue::HOSTILE;
use crate::dice::Dice;
use crate::tree::{Place, Tree};

/// What one call is asked.
#[derive(Debug)]
pub struct Input {
    /// `validate` or `validate_settings`.
    pub operation: &'static str,
    pub payload: Vec<u8>,
}

/// Makes the inputs of a seed, each from its number alone.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    requests: Vec<Tree>,
    settings: Tree,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator { seed, requests: requests(), settings: Tree::from(&settings()) }
    }

    /// The input of that number, always the same one.
    pub fn input(&self, index: u64) -> Input {
        let mut dice = Dice::of(self.seed, index);
        let (operation, mut tree) = match dice.one_in(8) {
            true => ("validate_settings", self.settings.clone()),
            false => ("validate", dice.pick(&self.requests).clone()),
        };
        if dice.one_in(1_000) {
            overgrow(&mut tree, &mut dice);
        }
        for _ in 0..=dice.below(3) {
            mutate(&mut tree, &mut dice);
        }
        let mut payload = tree.to_string().into_bytes();
        if dice.one_in(8) {
            spoil(&mut payload, &mut dice);
        }
        Input { operation, payload }
    }
}

/// Requests with something in every place that the policy reads.
fn requests() -> Vec<Tree> {
    let full = pod(&[
        ("connect-service", "orders"),
        ("connect-service-port", "http"),
        ("connect-service-upstreams", "db:2000,cache.far:2001:dc2,prepared_query:geo:2002"),
        ("connect-service-protocol", "http"),
        ("connect-service-tags", "old"),
        ("service-tags", "a,b"),
        ("service-meta-x", "$POD_NAME"),
        ("envoy-extra-args", "--log-level 'debug' \"x\""),
        ("sidecar-proxy-cpu-limit", "1"),
        ("sidecar-proxy-memory-request", "64Mi"),
        ("connect-sync-period", "1m30s"),
        ("transparent-proxy", "true"),
    ]);
    let mut grpc = pod(&[]);
    grpc["spec"]["containers"][0]["readinessProbe"] = json!({ "grpc": { "port": 9090, "service": "s" } });
    let settings = settings();
    let about = |kind: Value, operation: &str, object: &Value, old: Option<&Value>, settings: &Value| {
        json!({
            "request": {
                "uid": "u", "kind": kind, "operation": operation, "namespace": "shop", "name": "web-0",
                "subResource": "", "object": object, "oldObject": old,
            },
            "settings": settings,
        })
    };
    let template = json!({ "metadata": full["metadata"], "spec": full["spec"] });
    let deployment = json!({
        "kind": "Deployment",
        "metadata": { "name": "web", "annotations": full["metadata"]["annotations"] },
        "spec": { "template": template },
    });
    let cron_job = json!({
        "kind": "CronJob", "metadata": { "generateName": "web-" },
        "spec": { "jobTemplate": { "spec": { "template": template } } },
    });
    let kind = |group: &str, kind: &str| json!({ "group": group, "version": "v1", "kind": kind });
    let plain = json!({});
    let ordinary = json!({ "nativeSidecars": false });
    let requests = [
        about(kind("", "Pod"), "CREATE", &full, None, &plain),
        about(kind("", "Pod"), "CREATE", &full, None, &settings),
        about(kind("", "Pod"), "CREATE", &grpc, None, &ordinary),
        about(kind("apps", "Deployment"), "UPDATE", &deployment, Some(&deployment), &plain),
        about(kind("batch", "CronJob"), "CREATE", &cron_job, None, &settings),
    ];
    requests.iter().map(Tree::from).collect()
}

/// A pod in which everything stands that the policy looks at.
fn pod(annotations: &[(&str, &str)]) -> Value {
    let mut own = json!({ "consul.hashicorp.com/connect-inject": "true" });
    for (name, value) in annotations {
        own[format!("consul.hashicorp.com/{name}")] = json!(value);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-0", "labels": { "app": "web" }, "annotations": own,
            "ownerReferences": [{ "kind": "Job", "name": "j" }],
        },
        "spec": {
            "serviceAccountName": "web", "hostNetwork": false, "restartPolicy": "Always",
            "os": { "name": "linux" }, "terminationGracePeriodSeconds": 30,
            "volumes": [{ "name": "data", "emptyDir": {} }],
            "initContainers": [
                { "name": "own", "restartPolicy": "Always", "ports": [{ "containerPort": 1 }] },
                { "name": "migrate", "env": [{ "name": "A", "value": "$(B)" }] },
            ],
            "containers": [{
                "name": "web", "image": "example/web:1",
                "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "admin", "containerPort": 9090 }],
                "env": [{ "name": "DB_CONNECT_SERVICE_PORT", "value": "1" }],
                "readinessProbe": {
                    "httpGet": {
                        "path": "/r?a#b", "port": "http", "scheme": "HTTPS",
                        "httpHeaders": [{ "name": "Host", "value": "x" }],
                    },
                    "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1,
                },
            }],
        },
    })
}

/// Every setting.
fn settings() -> Value {
    json!({
        "enabled": true, "default": true, "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": ["billing"],
        "imageConsul": "docker.io/hashicorp/consul:1.22.7", "imageEnvoy": "envoyproxy/envoy:v1.35.9",
        "imagePullPolicy": "IfNotPresent",
        "centralConfig": { "enabled": true, "defaultProtocol": "http" }, "envoyExtraArgs": "-l info",
        "sidecarProxy": { "resources": { "limits": { "cpu": "1" }, "requests": { "cpu": "10m" } }, "concurrency": 2 },
        "initContainer": { "resources": { "limits": { "memory": "150Mi" } } },
        "lifecycleSidecar": { "resources": {} },
        "enableConsulNamespaces": true,
        "consulNamespaces": { "consulDestinationNamespace": "apps", "mirroringK8S": true, "mirroringK8SPrefix": "k8s-" },
        "crossNamespaceACLPolicy": "cross", "acls": { "enabled": false, "authMethod": "m" },
        "tls": { "enabled": false, "caCert": "", "serverName": "server.dc1.consul" },
        "agent": { "httpPort": 8500, "httpsPort": 8501, "grpcPort": 8502 },
        "healthChecks": { "enabled": true }, "nativeSidecars": true, "openshift": false, "syncPeriod": "10s",
    })
}

/// What stands where something else should, as JSON text.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e400",
    "-0.0",
    "65536",
    "99999999999999999999999",
    "\"\"",
    "\" \"",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "[{}]",
    "{\"\":null}",
    "{\"name\":7}",
    "[7]",
    "\"true\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{202e}\u{feff}\u{7f}\"",
    "\",\"",
    "\":\"",
    "\"a:b:c:d\"",
    "\"prepared_query\"",
    "\"db:1,db:1\"",
    "\"9223372036854775808s\"",
    "\"1e999999999\"",
    "\"-----BEGIN CERTIFICATE-----\"",
    "\"-----BEGIN CERTIFICATE-----\\nMAMCAQE=\\n-----END CERTIFICATE-----\"",
    "\"kube-system\"",
    "\"Always\"",
    "\"windows\"",
    "\"UDP\"",
    "\"DELETE\"",
];

const KEYS: &[&str] = &[
    "",
    "name",
    "spec",
    "metadata",
    "annotations",
    "labels",
    "containers",
    "initContainers",
    "volumes",
    "env",
    "ports",
    "containerPort",
    "readinessProbe",
    "kind",
    "object",
    "settings",
    "template",
    "restartPolicy",
    "consul.hashicorp.com/",
    "consul.hashicorp.com/connect-inject",
    "consul.hashicorp.com/service-meta-",
    "consul.hashicorp.com/service-meta-\u{e9}",
    "consul.hashicorp.com/connect-inject-status",
    "\u{0}",
    "\u{202e}",
];

fn value(dice: &mut Dice) -> Tree {
    match dice.below(600) {
        0 => Tree::text(&"x".repeat(dice.below(300_000))),
        1 => Tree::text(&"\u{1f600}\\\"".repeat(dice.below(20_000))),
        2 => {
            let depth = *dice.pick(&[100, 126, 127, 128, 129, 1_000, 20_000]);
            Tree::Token(format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
        }
        3 => {
            let depth = *dice.pick(&[126, 128, 5_000]);
            Tree::Token(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)))
        }
        4 => Tree::Token("9".repeat(dice.below(5_000) + 1)),
        5 => Tree::text(&"a:1,".repeat(dice.below(3_000))),
        200..400 => Tree::text(&dice.pick(&HOSTILE).value),
        _ => Tree::Token((*dice.pick(VALUES)).to_owned()),
    }
}

/// Changes one thing somewhere.
fn mutate(tree: &mut Tree, dice: &mut Dice) {
    let place = dice.below(tree.size());
    let donor = tree.at(dice.below(tree.size())).clone();
    match tree.place(place) {
        Place::Object(members) if !dice.one_in(4) => {
            let index = dice.below(members.len());
            match dice.below(6) {
                0 => drop((!members.is_empty()).then(|| members.remove(index))),
                1 => members.push(((*dice.pick(KEYS)).to_owned(), value(dice))),
                2 if !members.is_empty() => {
                    // A key twice, the second time with something else.
                    let key = members[index].0.clone();
                    members.push((key, value(dice)));
                }
                3 if !members.is_empty() => members[index].0 = (*dice.pick(KEYS)).to_owned(),
                4 if !members.is_empty() => {
                    let hostile = &dice.pick(&HOSTILE).value;
                    members[index].0.push_str(hostile);
                }
                _ => members.push(("x".to_owned(), donor)),
            }
        }
        Place::List(elements) if !dice.one_in(4) => {
            let index = dice.below(elements.len());
            match dice.below(4) {
                0 => drop((!elements.is_empty()).then(|| elements.remove(index))),
                1 => elements.insert(index, value(dice)),
                2 if !elements.is_empty() => {
                    let count = if dice.one_in(200) { 2_000 } else { dice.below(20) };
                    let element = elements[index].clone();
                    elements.extend((0..count).map(|_| element.clone()));
                }
                _ => elements.push(donor),
            }
        }
        Place::Node(node) if dice.one_in(3) => garble(node, dice),
        place => place.replace(if dice.one_in(5) { donor } else { value(dice) }),
    }
}

/// Changes the text of a string: something hostile in its midst, or a piece of it
/// gone or there twice. What is no string becomes one.
fn garble(node: &mut Tree, dice: &mut Dice) {
    let Tree::Token(token) = &*node else { return };
    let text = serde_json::from_str(token).unwrap_or_else(|_| token.clone());
    let mut characters: Vec<char> = text.chars().collect();
    let (one, other) = (dice.below(characters.len() + 1), dice.below(characters.len() + 1));
    let (from, to) = (one.min(other), one.max(other));
    match dice.below(4) {
        0 => drop(characters.drain(from..to)),
        1 => {
            let piece = characters[from..to].to_vec();
            characters.splice(to..to, piece);
        }
        2 => {
            let one =
                *dice.pick(&[',', ':', '.', '-', '=', ' ', '0', '9', '"', '\'', '\\', '$', '#', '\n', '\0']);
            characters.insert(from, one);
        }
        _ => {
            let hostile = dice.pick(&HOSTILE).value.chars();
            characters.splice(from..to, hostile);
        }
    }
    *node = Tree::text(&characters.into_iter().collect::<String>());
}

/// Makes something of it as great as requests can be: the policy server takes
/// 2 MiB.
fn overgrow(tree: &mut Tree, dice: &mut Dice) {
    let number = |name: &str, count: usize| (0..count).map(move |index| format!("{name}{index}")).collect();
    let places = (0..tree.size()).filter(|index| !matches!(tree.at(*index), Tree::Token(_)));
    let places: Vec<usize> = places.collect();
    match tree.place(*dice.pick(&places)) {
        Place::Object(members) => {
            let prefix = *dice.pick(&[
                "k",
                "consul.hashicorp.com/x",
                "consul.hashicorp.com/service-meta-",
                "consul.hashicorp.com/transparent-proxy",
            ]);
            let keys: Vec<String> = number(prefix, *dice.pick(&[1_000, 20_000, 100_000]));
            let value = value(dice);
            let value = if value.to_string().len() < 20 { value } else { Tree::text("v") };
            members.extend(keys.into_iter().map(|key| (key, value.clone())));
        }
        Place::List(elements) => {
            let names: Vec<String> = number("c", *dice.pick(&[1_000, 10_000, 20_000]));
            let named = |name: &String| Tree::Object(vec![("name".to_owned(), Tree::text(name))]);
            elements.extend(names.iter().map(named));
        }
        Place::Node(_) => (),
    }
}

/// Changes the text itself, so that it may be no JSON and no text any more.
fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *dice.pick(b"\xff\x00\"\\{}[],:e-\xed\xa0\x80")),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_made_of_its_seed_and_number_alone() {
        let payload = |seed, index| Generator::new(seed).input(index).payload;
        assert_eq!(payload(1, 77), payload(1, 77));
        assert_ne!(payload(1, 77), payload(1, 78));
        assert_ne!(payload(1, 77), payload(2, 77));
        // Neighbouring seeds share nothing, either.
        assert_ne!(payload(1, 78), payload(2, 77));
    }

    #[test]
    fn every_kind_of_hostility_comes_up() {
        let generator = Generator::new(1);
        let mut seen = [0; 6];
        for index in 0..12_000 {
            let Input { operation, payload } = generator.input(index);
            let text = String::from_utf8_lossy(&payload);
            for (count, is) in seen.iter_mut().zip([
                operation == "validate_settings",
                std::str::from_utf8(&payload).is_err(),
                serde_json::from_slice::<Value>(&payload).is_err(),
                payload.len() > 1_000_000,
                text.contains("[[[[[[[["),
                text.contains("touch "),
            ]) {
                *count += u64::from(is);
            }
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}
