//! `examples/consul/leftovers.sh` of docs/migrate.md, with fakes of kubectl and of Consul's
//! catalog. Needs jq and curl, which `make tools` installs.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::mpsc,
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/consul/leftovers.sh");

/// A pod's catalog entry as the chart's controller registers it.
fn instance(id: &str, pod: &str, address: &str, uid: Option<&str>) -> Value {
    let mut meta = json!({ "pod-name": pod, "k8s-namespace": "shop" });
    if let Some(uid) = uid {
        meta["pod-uid"] = json!(uid);
    }
    json!({ "ID": id, "Service": "web", "Address": address, "Meta": meta })
}

/// A fake of Consul's catalog; sends deregistrations and tokens to the channel.
fn catalog() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap(),
                    "x-consul-token" => send.send(format!("token {}", value.trim())).unwrap_or_default(),
                    _ => (),
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let path = head.split(' ').nth(1).unwrap();
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let answer = match path {
                "/v1/catalog/nodes" if query == "filter=Meta%5B%22synthetic-node%22%5D+%3D%3D+%22true%22" => {
                    Some(json!([{ "Node": "a-virtual" }, { "Node": "gone-virtual" }]))
                }
                "/v1/catalog/node-services/a-virtual" => Some(json!({ "Services": [
                    instance("web-1-web", "web-1", "10.1.0.1", Some("of yesterday")),
                    instance("web-2-web", "web-2", "10.1.0.2", Some("u2")),
                    instance("db-0-db", "db-0", "10.1.0.3", None),
                    instance("db-1-db", "db-1", "10.1.0.4", None),
                    { "ID": "no-pod", "Service": "no-pod", "Address": "", "Meta": null },
                ] })),
                "/v1/catalog/node-services/gone-virtual" => {
                    Some(json!({ "Services": [instance("web-3-web", "web-3", "10.1.0.5", Some("u9"))] }))
                }
                "/v1/catalog/deregister" => {
                    send.send(String::from_utf8(body).unwrap()).unwrap_or_default();
                    Some(json!(true))
                }
                _ => None,
            };
            let status = if answer.is_some() { "200 OK" } else { "404 Not Found" };
            let answer = answer.map(|answer| answer.to_string()).unwrap_or_default();
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            stream.write_all((head + &answer).as_bytes()).unwrap();
        }
    });
    (address, receive)
}

/// Runs the script in a cluster of one node and four pods.
fn run(consul: &str, arguments: &[&str]) -> Output {
    let pods: Vec<Value> = [
        ("web-1", "u1", "10.1.0.1"),
        ("web-2", "u2", "10.1.0.2"),
        ("db-0", "u3", "10.1.0.3"),
        ("db-1", "u4", "10.9.9.9"),
    ]
    .into_iter()
    .map(|(name, uid, ip)| {
        json!({ "metadata": { "namespace": "shop", "name": name, "uid": uid }, "status": { "podIP": ip } })
    })
    .collect();
    let folder = TempDir::new().unwrap();
    let kubectl = folder.path().join("kubectl");
    let nodes = json!({ "items": [{ "metadata": { "name": "a" } }] });
    let text = format!(
        "#!/bin/sh\ncase $2 in\npods) echo '{}' ;;\nnodes) echo '{nodes}' ;;\nesac\n",
        json!({ "items": pods })
    );
    fs::write(&kubectl, text).unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    Command::new("sh")
        .arg(SCRIPT)
        .args(arguments)
        .env("PATH", path)
        .env("CONSUL_HTTP_ADDR", consul)
        .env("CONSUL_HTTP_TOKEN", "secret")
        .env_remove("CONSUL_CACERT")
        .env_remove("CONSUL_NAMESPACE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn instances_of_pods_that_are_gone_are_listed_and_with_remove_removed() {
    let (consul, events) = catalog();
    let ran = run(&consul, &[]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let expected =
        "web-1-web on a-virtual, of the pod shop/web-1\ndb-1-db on a-virtual, of the pod shop/db-1\n";
    assert_eq!(text(&ran.stdout), expected);
    // The node belongs to another cluster, or was deleted.
    assert!(text(&ran.stderr).contains("skipped: web-3-web on gone-virtual"), "{}", text(&ran.stderr));
    assert!(events.try_iter().all(|event| event == "token secret"));

    assert!(run(&consul, &["another"]).stdout.is_empty());
    let everywhere = run(&consul, &["--all-nodes", "shop"]);
    assert!(text(&everywhere.stdout).contains("web-3-web"));

    events.try_iter().for_each(drop);
    let ran = run(&consul, &["--remove", "shop"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let removed: Vec<Value> =
        events.try_iter().filter_map(|event| serde_json::from_str(&event).ok()).collect();
    assert_eq!(
        removed,
        [
            json!({ "Node": "a-virtual", "ServiceID": "web-1-web" }),
            json!({ "Node": "a-virtual", "ServiceID": "db-1-db" })
        ]
    );
    assert_eq!(
        text(&ran.stdout),
        expected.replace("web-1-web on", "removed web-1-web on").replace("db-1-db on", "removed db-1-db on")
    );
}

#[test]
fn without_an_answer_nothing_is_reported_as_clean() {
    let ran = run("127.0.0.1:1", &["--remove"]);
    assert!(!ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
    let ran = run("127.0.0.1:1", &["--no-such-thing"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stderr).contains("--all-nodes"), "{}", text(&ran.stderr));
}

#[test]
fn shellcheck_finds_nothing() {
    assert!(Path::new(SCRIPT).exists());
    match Command::new("shellcheck").arg(SCRIPT).output() {
        Ok(ran) => assert!(ran.status.success(), "{}", text(&ran.stdout)),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}
