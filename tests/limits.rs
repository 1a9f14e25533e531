//! Every answer meets the requirements of [`soak::Trial`], including its limits for work and
//! memory:
//!
//! * mutated requests and settings; `HOSTILE_INPUTS` sets their number, `HOSTILE_SEED` the seed,
//! * objects of the maximum size that Kubernetes stores (1.5 MiB, with 256 KiB of annotations),
//! * a pod of the maximum depth that the policy server parses.

mod support;

use std::env;

use serde_json::{Map, Value, json};
use soak::{Generator, Input, Outcome, REQUEST_LIMIT, Trial, sample};
use support::{Answer, Asked as _, PREFIX, policy, web};

const MIB: u64 = 1024 * 1024;

fn fits(what: &str, operation: &'static str, payload: &Value) -> Outcome {
    let input = Input { operation, payload: payload.to_string().into() };
    assert!(input.payload.len() <= REQUEST_LIMIT, "{what}: {} bytes cannot arrive", input.payload.len());
    let trial = Trial::of(policy(), &input).unwrap_or_else(|broken| panic!("{what}: {broken}"));
    println!(
        "{what}: {} KiB, {} million units of work, {} MiB, {:?}",
        input.payload.len() / 1024,
        trial.fuel / 1_000_000,
        trial.memory / MIB,
        trial.outcome
    );
    trial.outcome
}

fn pod_fits(what: &str, pod: &Value) -> Outcome {
    fits(what, "validate", &sample::payload(&sample::creation(pod), &json!({})))
}

fn many<T>(count: usize, of: impl Fn(usize) -> T) -> impl Iterator<Item = T> {
    (0..count).map(of)
}

fn entries(count: usize, prefix: &str) -> Map<String, Value> {
    many(count, |index| (format!("{prefix}{index}"), json!("v"))).collect()
}

fn with_annotations(count: usize, prefix: &str) -> Value {
    let mut pod = web(&[]);
    pod["metadata"]["annotations"].as_object_mut().unwrap().extend(entries(count, prefix));
    pod
}

fn with_containers(count: usize, upstreams: &str) -> Value {
    let mut pod = web(&[("connect-service-upstreams", upstreams)]);
    let list = pod["spec"]["containers"].as_array_mut().unwrap();
    list.extend(many(count, |index| json!({ "name": format!("c{index}"), "image": "i" })));
    pod
}

fn upstreams(count: usize) -> String {
    many(count, |index| format!("a{0}:{0}", 1025 + index)).collect::<Vec<_>>().join(",")
}

#[test]
fn great_pods_fit() {
    pod_fits("foreign annotations", &with_annotations(14_000, "example.com/"));
    pod_fits("containers", &with_containers(10_000, "db:2000"));
    pod_fits("a long service name", &web(&[("connect-service", &"x".repeat(250_000))]));
    let mut pod = web(&[]);
    let variables: Vec<_> = many(40_000, |index| json!({ "name": format!("X-{index}") })).collect();
    pod["spec"]["containers"][0]["env"] = json!(variables);
    pod["metadata"]["annotations"][format!("{PREFIX}connect-service-upstreams")] = json!(upstreams(500));
    pod_fits("variables and upstreams", &pod);
    pod_fits("containers with many upstreams", &with_containers(10_000, &upstreams(500)));
}

#[test]
fn great_annotations_fit() {
    pod_fits("unknown annotations", &with_annotations(9_000, "consul.hashicorp.com/x"));
    pod_fits("pairs of metadata", &with_annotations(6_500, "consul.hashicorp.com/service-meta-x"));
    pod_fits("upstreams", &web(&[("connect-service-upstreams", &upstreams(18_000))]));
    pod_fits("broken upstreams", &web(&[("connect-service-upstreams", &"x,".repeat(130_000))]));
    pod_fits("upstreams on one port", &web(&[("connect-service-upstreams", &"a:1,".repeat(65_000))]));
    pod_fits("flags of Envoy", &web(&[("envoy-extra-args", &" --f".repeat(65_000))]));
    let mut pod = web(&[]);
    let headers: Vec<_> = many(40_000, |index| json!({ "name": format!("X-{index}") })).collect();
    pod["spec"]["containers"][0]["readinessProbe"] =
        json!({ "httpGet": { "port": 8080, "httpHeaders": headers } });
    pod_fits("headers of a probe", &pod);
}

#[test]
fn great_pods_fit_in_dataplane_mode() {
    let settings = json!({ "mode": "dataplane", "dns": { "nameservers": ["10.96.0.10"] } });
    let fits = |what: &str, pod: &Value| {
        fits(what, "validate", &sample::payload(&sample::creation(pod), &settings));
    };
    fits("containers", &with_containers(10_000, "db:2000"));
    fits("upstreams", &web(&[("connect-service-upstreams", &upstreams(18_000))]));
    let services: Vec<_> = many(30_000, |index| format!("s{index}")).collect();
    let together = [("connect-service", services.join(",")), ("transparent-proxy", "false".to_owned())];
    fits("services", &web(&together.each_ref().map(|(name, value)| (*name, value.as_str()))));
    fits("ports", &web(&[("connect-service-port", &"http,".repeat(50_000))]));
    fits(
        "ports that are excluded",
        &web(&[("transparent-proxy-exclude-inbound-ports", &"1,".repeat(120_000))]),
    );
    fits("blocks", &web(&[("transparent-proxy-exclude-outbound-cidrs", &"10.0.0.0/8,".repeat(20_000))]));
    fits("containers with a mount", &web(&[("connect-inject-mount-volume", &"web,".repeat(60_000))]));
    let volumes: Vec<_> =
        many(5_000, |index| json!({ "name": format!("v{index}"), "emptyDir": {} })).collect();
    let mounts: Vec<_> =
        many(5_000, |index| json!({ "name": format!("v{index}"), "mountPath": format!("/{index}") }))
            .collect();
    fits(
        "volumes and mounts",
        &web(&[
            ("consul-sidecar-user-volume", &json!(volumes).to_string()),
            ("consul-sidecar-user-volume-mount", &json!(mounts).to_string()),
        ]),
    );
}

#[test]
fn great_settings_fit() {
    let mut unknown = Value::Object(entries(100_000, "x"));
    unknown["agent"] = Value::Object(entries(20_000, "x"));
    let resources = json!({ "limits": entries(60_000, "x"), "requests": entries(40_000, "x") });
    let namespaces: Vec<_> = many(150_000, |index| format!("-{index}")).collect();
    for (what, settings) in [
        ("unknown settings", unknown),
        ("resources", json!({ "initContainer": { "resources": resources } })),
        ("names of namespaces", json!({ "k8sAllowNamespaces": namespaces })),
    ] {
        assert_eq!(fits(what, "validate_settings", &settings), Outcome::Rejected, "{what}");
    }
}

/// Workloads have annotations themselves, and an old object besides the new one.
#[test]
fn great_workloads_fit() {
    let none = web(&[]);
    let unknown = with_annotations(8_000, "consul.hashicorp.com/x");
    let broken = with_annotations(6_000, "consul.hashicorp.com/service-meta-\u{e9}");
    for (what, own, template) in [
        ("misplaced annotations", &unknown, &none),
        ("annotations in both places", &unknown, &unknown),
        ("broken annotations, old and new", &none, &broken),
    ] {
        let deployment = json!({ "metadata": { "annotations": own["metadata"]["annotations"] }, "spec": { "template": template } });
        let request = sample::request(["apps", "Deployment"], "UPDATE", &deployment, &deployment);
        fits(what, "validate", &sample::payload(&request, &json!({})));
    }
}

/// The maximum depth of the policy server's JSON parser, which is also the test's.
#[test]
fn the_deepest_pod_is_injected() {
    type Nest = fn(Value) -> Value;
    let nests: [Nest; 2] = [|inner| json!([inner]), |inner| json!({ "a": inner })];
    for nest in nests {
        let mut pod = web(&[]);
        pod["status"] = json!(1);
        let mut deepest = 0;
        loop {
            let mut deeper = pod.clone();
            deeper["status"] = nest(pod["status"].clone());
            let payload = sample::payload(&sample::creation(&deeper), &json!({})).to_string();
            if serde_json::from_str::<Value>(&payload).is_err() {
                break;
            }
            (pod, deepest) = (deeper, deepest + 1);
        }
        assert!(deepest > 100, "{deepest} levels");
        let payload = sample::payload(&sample::creation(&pod), &json!({})).to_string();
        let answer = Answer::to(payload.as_bytes());
        assert_eq!(answer.reason(), "injected", "{deepest} levels");
        assert!(answer.pod()["status"] == pod["status"], "{deepest} levels come back");
    }
}

#[test]
fn every_input_gets_an_answer() {
    let number = |name: &str, default: u64| {
        env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let (count, seed) = (number("HOSTILE_INPUTS", 20_000), number("HOSTILE_SEED", 7));
    let generator = Generator::new(seed);
    let outcome = |index| {
        let trial = Trial::of(policy(), &generator.input(index));
        trial.unwrap_or_else(|broken| panic!("{broken}\nAgain: make soak SEED={seed} INPUT={index}")).outcome
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let run = |first: usize| {
            scope.spawn(move || (first as u64..count).step_by(workers).map(outcome).collect::<Vec<_>>())
        };
        let running: Vec<_> = (0..workers).map(run).collect();
        running.into_iter().flat_map(|worker| worker.join().expect("the failure is reported above")).collect()
    });
    let of = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count() as u64;
    let (rejected, injected) = (of(Outcome::Rejected), of(Outcome::Injected));
    // A mixture of valid and invalid inputs.
    assert!(rejected > count / 10 && injected > count / 20, "{rejected} rejected, {injected} injected");
}
