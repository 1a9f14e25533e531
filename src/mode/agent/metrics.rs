//! Envoy's metrics for Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;

use super::free_port;
use crate::annotations::full;
use crate::annotations::names::{ENABLE_METRICS, SCRAPE_PORT};
use crate::annotations::reader::AnnotationReader;
use crate::consul::upstream::Upstream;
use crate::mode::candidate::Candidate;
use crate::mode::shared::scrape::Scrape;
use crate::problem::{Findings, Flaw};
use crate::text::Quoted;

pub fn read(
    pod: &Candidate<'_>,
    defaults: &Scrape,
    own_port: Option<u16>,
    upstreams: &[Upstream],
    findings: &mut Findings,
) -> Scrape {
    let mut reader = AnnotationReader { annotations: pod.annotations, spec: pod.spec, findings };
    let reader = &mut reader;
    let written = reader.written(SCRAPE_PORT);
    let number = written.and_then(|_| reader.number(SCRAPE_PORT, 1024, u16::MAX.into()));
    let port = number.and_then(|number| u16::try_from(number).ok());
    let mut scrape = defaults.of_pod(reader, port);
    if scrape.enabled {
        let taken = free_port::taken(own_port, upstreams, pod.spec);
        if let Some(written) = written.filter(|_| port.is_some_and(|port| taken.contains(&port))) {
            let why = "is already used by the pod or by one of its upstreams";
            let flaw = Flaw::new(why, "write another port from 1024 to 65535");
            reader.problem(SCRAPE_PORT, written, flaw);
        } else {
            choose_port(&mut scrape, &taken, reader);
            warn_of_replaced(&scrape, pod, reader);
        }
    }
    scrape
}

/// The setting's port, or the next one that is free in this pod.
fn choose_port(scrape: &mut Scrape, taken: &BTreeSet<u16>, reader: &mut AnnotationReader<'_, '_>) {
    let wanted = scrape.port;
    scrape.port = free_port::next_free(wanted, taken);
    if scrape.port != wanted {
        reader.warn(format!(
            "Envoy's metrics use port {}, because port {wanted} is used by the pod or one of its upstreams; to choose another, set {}",
            scrape.port,
            full(SCRAPE_PORT)
        ));
    }
}

/// Warns of annotations for Prometheus that are replaced: they select one port of a pod.
fn warn_of_replaced(scrape: &Scrape, pod: &Candidate<'_>, reader: &mut AnnotationReader<'_, '_>) {
    for (name, value) in scrape.annotations() {
        let own = pod.metadata.annotations.get(&name).and_then(Value::as_str);
        if let Some(own) = own.filter(|own| *own != value) {
            reader.warn(format!(
                "annotation {name}: {} is replaced by {value} for Envoy's metrics; to keep it, set {} to \"false\"",
                Quoted(own, 60),
                full(ENABLE_METRICS)
            ));
        }
    }
}
