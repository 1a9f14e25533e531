//! A container's readiness probe as a Consul check.
//!
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>,
//! <https://developer.hashicorp.com/consul/docs/services/configuration/checks-configuration-reference>

use std::borrow::Cow;
use std::fmt::Write as _;

use json_text::order;

use crate::annotations::Wanted;
use crate::consul::registration::{Check, Probing};
use crate::env_text::EnvText;
use crate::pod::{Container, Spec};
use crate::probe::ProbeAction;
use crate::settings::Settings;

/// The check that stands for the readiness probe of the container that owns the
/// service's port.
pub fn of_service<'a>(wanted: &Wanted, spec: &Spec<'a>, settings: &Settings) -> Option<Check<'a>> {
    let port = wanted.port.as_ref().filter(|_| settings.health_checks)?.number;
    let mut running = spec.running();
    let owner =
        running.find(|container| container.ports.iter().any(|listed| listed.tcp && listed.number == port));
    // A port that nobody lists can only be the only container's.
    let owner = owner.or_else(|| spec.containers.first().filter(|_| spec.running().count() == 1))?;
    check(owner)
}

/// The check that does what the probe does, if Consul can: it cannot run `exec`,
/// and it runs beside the pod, so that a probe with a host of its own would mean
/// something else.
fn check<'a>(container: &Container<'a>) -> Option<Check<'a>> {
    let probe = container.readiness_probe()?;
    let port = container.probe_port(probe.port)?;
    if !probe.host.is_empty() {
        return None;
    }
    let or =
        |value: i64, default: u64| u64::try_from(value).ok().filter(|value| *value > 0).unwrap_or(default);
    let period = or(probe.period_seconds, 10);
    let interval = period.min(LONGEST_INTERVAL);
    let scaled = |times: u64| times.saturating_mul(period).div_ceil(interval).min(100_000);
    Some(Check {
        port,
        interval_seconds: interval,
        timeout_seconds: or(probe.timeout_seconds, 1).min(86_400),
        // The first success counts at once, further ones a period each.
        success_before_passing: scaled(or(probe.success_threshold, 1).saturating_sub(1)).saturating_add(1),
        failures_before_critical: scaled(or(probe.failure_threshold, 3)),
        probe: match probe.action {
            ProbeAction::HttpGet(http) => {
                Probing::Http { https: http.https, path: url_path(&http.path), header: headers(http.headers) }
            }
            ProbeAction::TcpSocket => Probing::Tcp,
            ProbeAction::Grpc { service } => Probing::Grpc(EnvText::from(service)),
        },
    })
}

/// The longest interval: a check starts critical and first runs up to one
/// interval late.
const LONGEST_INTERVAL: u64 = 2;

/// Values by name, each name once, in the form in which Go looks for it: Consul would
/// send a `host` beside its own `Host`.
fn headers<'a>(mut written: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Vec<(EnvText<'a>, Vec<EnvText<'a>>)> {
    for (name, _) in &mut written {
        canonical(name);
    }
    let has_agent = written.iter().any(|(name, _)| name == USER_AGENT);
    let mut headers: Vec<(EnvText<'_>, Vec<EnvText<'_>>)> = Vec::new();
    let name = |at: usize| written.get(at).map(|(name, _)| name);
    // The values of a name stay in their order.
    let order = order(written.len(), &|left, right| name(left).cmp(&name(right)));
    let mut written: Vec<_> = written.into_iter().map(Some).collect();
    for (name, value) in order.into_iter().filter_map(|at| written.get_mut(at)?.take()) {
        let (name, value) = (EnvText::from(name), EnvText::from(value));
        match headers.last_mut().filter(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => headers.push((name, vec![value])),
        }
    }
    if !has_agent {
        headers.push((EnvText::literal(USER_AGENT), vec![EnvText::literal("kube-probe/consul")]));
    }
    headers
}

const USER_AGENT: &str = "User-Agent";

/// As Go's `http.CanonicalHeaderKey`: each word begins with an upper-case letter, and
/// goes on with lower-case ones. What is no header's name stays as it is.
fn canonical(name: &mut Cow<'_, str>) {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return;
    }
    let mut before = '-';
    let letter = |letter: char| {
        let first = std::mem::replace(&mut before, letter) == '-';
        if first { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    *name = name.chars().map(letter).collect();
}

/// A probe's path as it stands in a URL. As the kubelet does it: it takes the text for
/// a URL of which only path and query count, or for all path if it can be none.
fn url_path(written: &str) -> String {
    let (path, query) = path_and_query(written).unwrap_or_else(|| (escaped(written.bytes()), ""));
    let slash = if path.starts_with('/') { "" } else { "/" };
    [slash, &path, query].concat()
}

/// What Go's `url.Parse` finds in `written`, if it finds no mistake. The query stays
/// as it is, with its question mark.
fn path_and_query(written: &str) -> Option<(String, &str)> {
    if written.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let (url, fragment) = written.split_once('#').unwrap_or((written, ""));
    unescaped(fragment)?;
    let (mut path, query) = url.split_at_checked(url.find('?').unwrap_or(url.len()))?;
    let scheme = path.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
    if let Some((_, rest)) = scheme {
        path = rest;
    }
    let first = path.split('/').next().unwrap_or_default();
    if (scheme.is_some() && !path.starts_with('/')) || first.contains(':') {
        return None;
    }
    if scheme.is_some() || !path.starts_with("///") {
        // The host; the kubelet puts the pod's there.
        if let Some(authority) = path.strip_prefix("//") {
            path = authority.split_at_checked(authority.find('/').unwrap_or(authority.len()))?.1;
        }
    }
    let bytes = unescaped(path)?;
    let stands =
        |byte: u8| in_path(byte) || matches!(byte, b'%' | b'!' | b'\'' | b'(' | b')' | b'*' | b'[' | b']');
    Some((if path.bytes().all(stands) { path.to_owned() } else { escaped(bytes.into_iter()) }, query))
}

fn is_scheme(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(fits)
}

/// Without its percent signs; nothing if one begins no escape.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

fn escaped(bytes: impl Iterator<Item = u8>) -> String {
    let mut path = String::new();
    for byte in bytes {
        if in_path(byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// What Go never escapes in a path.
fn in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use json_text::{Document, Text, object};

    fn checked(probe: &str) -> Option<serde_json::Value> {
        let text = format!(
            r#"{{"containers":[{{"name":"a","ports":[{{"name":"web","containerPort":8080}}],"readinessProbe":{probe}}}]}}"#
        );
        let document = Document::scan(&text).unwrap();
        let spec = Spec::read(document.root(), "spec").unwrap();
        let check = check(&spec.containers[0])?;
        let mut json = Text::new();
        object(&mut json, |out| check.write(out));
        Some(serde_json::from_slice(json.as_bytes()).unwrap())
    }

    #[test]
    fn http_with_everything() {
        let check = checked(
            r#"{"httpGet":{"path":"ready?x=$(POD_IP)#f","port":"web","scheme":"HTTPS",
                "httpHeaders":[{"name":"Host","value":"a.b"},{"name":"X","value":"$1"}]},
                "periodSeconds":10,"timeoutSeconds":3,"failureThreshold":3,"successThreshold":2}"#,
        )
        .unwrap();
        assert_eq!(
            check,
            serde_json::json!({
                "name": "Readiness", "http": "https://:8080/ready?x=$$(POD_IP)", "method": "GET",
                "header": {"Host": ["a.b"], "X": ["$$1"], "User-Agent": ["kube-probe/consul"]},
                "tls_skip_verify": true, "interval": "2s", "timeout": "3s",
                "success_before_passing": 6, "failures_before_critical": 15,
            })
        );
    }

    /// Consul's agent is Go, and looks a header up by its canonical name.
    #[test]
    fn headers_by_the_names_that_consul_looks_for() {
        let check = checked(
            r#"{"httpGet":{"port":1,"httpHeaders":[{"name":"hOST","value":"a.b"},{"name":"x-a","value":"1"},
                {"name":"user-agent","value":"me"},{"name":"X-A","value":"2"}]}}"#,
        )
        .unwrap();
        let headers = serde_json::json!({"Host": ["a.b"], "User-Agent": ["me"], "X-A": ["1", "2"]});
        assert_eq!(check["header"], headers);
    }

    #[test]
    fn tcp_and_grpc_with_the_probes_defaults() {
        let check = checked(r#"{"tcpSocket":{"port":8080}}"#).unwrap();
        assert_eq!(check["tcp"], ":8080");
        assert_eq!(
            (&check["success_before_passing"], &check["failures_before_critical"]),
            (&1.into(), &15.into())
        );
        assert_eq!(checked(r#"{"grpc":{"port":9,"service":"a.B"}}"#).unwrap()["grpc"], ":9/a.B");
        let quick = checked(r#"{"tcpSocket":{"port":8080},"periodSeconds":1,"failureThreshold":3}"#).unwrap();
        assert_eq!((&quick["interval"], &quick["failures_before_critical"]), (&"1s".into(), &3.into()));
    }

    #[test]
    fn what_consul_cannot_do() {
        for probe in [
            r#"{"exec":{"command":["true"]}}"#,
            r#"{"httpGet":{"port":80,"host":"example.com"}}"#,
            r#"{"tcpSocket":{"port":80,"host":"example.com"}}"#,
            r#"{"httpGet":{"port":"nope"}}"#,
            r#"{"httpGet":3}"#,
            "{}",
            "null",
        ] {
            assert!(checked(probe).is_none(), "{probe}");
        }
    }

    #[test]
    fn paths_as_the_kubelet_sends_them() {
        for (path, url) in [
            // What Go's `url.Parse` and `URL.RequestURI` make of each.
            ("", "/"),
            ("?a", "/?a"),
            ("/a?", "/a?"),
            ("/a b", "/a%20b"),
            ("/é\"{}|", "/%C3%A9%22%7B%7D%7C"),
            ("/a\nb", "/a%0Ab"),
            ("/health?threshold=90%", "/health?threshold=90%"),
            ("/a%20b?c=%zz", "/a%20b?c=%zz"),
            ("/a?x=é", "/a?x=é"),
            ("/a?b#c?d", "/a?b"),
            ("/a#%zz", "/a%23%25zz"),
            ("/a%", "/a%25"),
            ("/a%+1", "/a%25+1"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2Fb c", "/a/b%20c"),
            ("/a%5b^", "/a%5B%5E"),
            ("/a!'()*[]", "/a!'()*[]"),
            ("/a:b;c=d&e$f@g,h+i~j", "/a:b;c=d&e$f@g,h+i~j"),
            ("x/y:z", "/x/y:z"),
            ("1a:b", "/1a:b"),
            (":x", "/:x"),
            ("//healthz", "/"),
            ("//u@h:1/p?q", "/p?q"),
            ("///a", "///a"),
            ("http://evil/x", "/x"),
            ("http:/a", "/a"),
        ] {
            assert_eq!(url_path(path), url, "{path:?}");
        }
    }
}
