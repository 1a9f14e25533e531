//! A container's readiness probe as a Consul check.
//!
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>,
//! <https://developer.hashicorp.com/consul/docs/services/configuration/checks-configuration-reference>

use std::borrow::Cow;
use std::fmt::Write as _;

use json_text::order;

use crate::annotations::Wanted;
use crate::consul::registration::{Check, EnvText, Probing};
use crate::pod::{Container, ProbeAction, Spec};
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

/// Values by name, each name once.
fn headers<'a>(written: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Vec<(EnvText<'a>, Vec<EnvText<'a>>)> {
    let has_agent = written.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
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
        headers.push((EnvText::literal("User-Agent"), vec![EnvText::literal("kube-probe/consul")]));
    }
    headers
}

/// A probe's path as it stands in a URL. As the kubelet does it: what is an
/// escape stays one, what cannot stand in a URL becomes one, a fragment is not
/// sent.
fn url_path(path: &str) -> String {
    let escapes_fine = path.match_indices('%').all(|(at, _)| {
        let digits = path.as_bytes().get(at.saturating_add(1)..at.saturating_add(3));
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let whole_path = !escapes_fine || path.bytes().any(|byte| byte.is_ascii_control());
    let path = if whole_path { path } else { path.split('#').next().unwrap_or_default() };
    let mut url = String::with_capacity(path.len().saturating_add(1));
    if !path.starts_with('/') {
        url.push('/');
    }
    for byte in path.bytes() {
        let fits = byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
        if fits && !(whole_path && matches!(byte, b'%' | b'?' | b'#')) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
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
            ("", "/"),
            ("/a b", "/a%20b"),
            ("/a%20b?c=%zz", "/a%2520b%3Fc=%25zz"),
            ("/é\"", "/%C3%A9%22"),
            ("/a\nb", "/a%0Ab"),
        ] {
            assert_eq!(url_path(path), url, "{path:?}");
        }
    }
}
