//! Finds the values of Consul's chart in a values file, in the output of `helm get values`, or
//! in an object of a tool that installs charts.

use serde_json::{Map, Value, json};

use super::{
    HelmError, keys, parameters,
    values::{lay_over, unquote_true},
};
use crate::{documents, manifest};

/// What `helm get values` writes above the values.
const HEADINGS: [&str; 2] = ["USER-SUPPLIED VALUES", "COMPUTED VALUES"];

/// Values, and notes about where they were found.
#[derive(Debug, Default)]
pub struct Found {
    pub values: Value,
    pub notes: Vec<String>,
    /// Of the Helm release, if the document has it.
    pub release: Option<String>,
    pub namespace: Option<String>,
    pub chart_version: Option<String>,
}

/// The document of a file that has the chart's values.
pub fn pick(documents: Vec<Value>) -> Result<Value, HelmError> {
    if documents.len() <= 1 {
        return Ok(documents.into_iter().next().unwrap_or_default());
    }
    let mut candidates: Vec<Value> =
        documents.into_iter().filter(|document| carrier(document) != Some(Carrier::None)).collect();
    if candidates.iter().any(|document| charts(document).contains(&"consul")) {
        candidates.retain(|document| charts(document).contains(&"consul"));
    }
    match candidates.len() {
        0 => Err(HelmError::NoValues("the file".to_owned())),
        1 => Ok(candidates.remove(0)),
        _ => Err(HelmError::Several(candidates.iter().map(title).collect())),
    }
}

/// The values in a document.
pub fn values(document: &Value) -> Result<Found, HelmError> {
    let mut found = match carrier(document) {
        None => Found { values: document.clone(), ..Found::default() },
        Some(carrier) => carrier.values(document)?,
    };
    if found.values.is_null() {
        found.values = json!({});
    }
    let top = found.values.as_object_mut().ok_or(HelmError::NotAnObject)?;
    top.retain(|key, value| !(value.is_null() && HEADINGS.contains(&key.as_str())));
    if let Some(own) = of_dependency(&found.values) {
        found.values = own;
        found.notes.push("the values are read from the block `consul`, as those of a dependency".to_owned());
    } else if has_no_key(&found.values) {
        let (place, own) = nested(&found.values)?;
        found.notes.push(format!("the values are read from {place}"));
        found.values = own;
    }
    unquote_true(&mut found.values);
    Ok(found)
}

/// Whether none of the keys is a key of the chart, not even a misspelt one.
fn has_no_key(values: &Value) -> bool {
    let keys = || values.as_object().into_iter().flatten().map(|(key, _)| key);
    keys().next().is_some() && !keys().any(|key| keys::is_known(key) || keys::nearest(key).is_some())
}

/// The chart's values inside those of another tool, such as a Helmfile: the only block that
/// configures an injector.
fn nested(values: &Value) -> Result<(String, Value), HelmError> {
    let mut found = Vec::new();
    collect_nested("", values, &mut found);
    match found.as_slice() {
        [] => Err(HelmError::NoValues("the file".to_owned())),
        [(place, own)] => Ok((place.clone(), (*own).clone())),
        _ => Err(HelmError::Several(found.into_iter().map(|(place, _)| place).collect())),
    }
}

fn collect_nested<'v>(place: &str, value: &'v Value, found: &mut Vec<(String, &'v Value)>) {
    if value.get("connectInject").is_some() {
        found.push((place.to_owned(), value));
        return;
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        collect_nested(&place, value, found);
    }
    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
        collect_nested(&format!("{place}[{index}]"), value, found);
    }
}

/// The kinds of objects that contain a chart's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    HelmRelease,
    Application,
    ApplicationSet,
    HelmChart,
    Kustomization,
    ConfigMap,
    /// A Kubernetes object without values.
    None,
}

/// The kind of a document that is not a values file itself.
fn carrier(document: &Value) -> Option<Carrier> {
    let text = |field: &str| document.get(field).and_then(Value::as_str);
    if document.get("helmCharts").is_some_and(Value::is_array) {
        return Some(Carrier::Kustomization);
    }
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    Some(match (group, kind) {
        ("helm.toolkit.fluxcd.io" | "helm.fluxcd.io", "HelmRelease") => Carrier::HelmRelease,
        ("argoproj.io", "Application") => Carrier::Application,
        ("argoproj.io", "ApplicationSet") => Carrier::ApplicationSet,
        ("helm.cattle.io", "HelmChart" | "HelmChartConfig") => Carrier::HelmChart,
        ("", "ConfigMap") => Carrier::ConfigMap,
        _ => Carrier::None,
    })
}

/// The names of the charts that an object installs, without their repositories.
fn charts(document: &Value) -> Vec<&str> {
    let at = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let names: Vec<&str> = match carrier(document) {
        Some(Carrier::HelmRelease) => {
            ["/spec/chart/spec/chart", "/spec/chart/name"].into_iter().filter_map(at).collect()
        }
        Some(Carrier::Application | Carrier::ApplicationSet) => {
            sources(document).filter_map(|(_, source)| source.get("chart")?.as_str()).collect()
        }
        Some(Carrier::HelmChart) => at("/spec/chart").into_iter().collect(),
        Some(Carrier::Kustomization) => {
            list(document, "/helmCharts").filter_map(|chart| chart.get("name")?.as_str()).collect()
        }
        Some(Carrier::ConfigMap | Carrier::None) | None => Vec::new(),
    };
    names.into_iter().filter_map(|name| name.rsplit('/').next()).collect()
}

/// `HelmRelease consul/consul`
fn title(document: &Value) -> String {
    match carrier(document) {
        None => "a values file".to_owned(),
        Some(Carrier::Kustomization) => "a Kustomization".to_owned(),
        Some(_) => manifest::title(document, None),
    }
}

impl Carrier {
    fn values(self, document: &Value) -> Result<Found, HelmError> {
        let title = title(document);
        let none = || HelmError::NoValues(title.clone());
        let at = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let mut found = Found::default();
        let place = match self {
            Self::HelmRelease => {
                found.values = document.pointer("/spec/values").cloned().unwrap_or_default();
                // Flux prefixes the default release name with the target namespace.
                let target = at("/spec/targetNamespace");
                found.release = at("/spec/releaseName").or_else(|| {
                    let name = at("/metadata/name")?;
                    Some(target.as_ref().map_or_else(|| name.clone(), |target| format!("{target}-{name}")))
                });
                found.namespace = target.or_else(|| at("/metadata/namespace"));
                found.chart_version = at("/spec/chart/spec/version").or_else(|| at("/spec/chart/version"));
                for source in list(document, "/spec/valuesFrom") {
                    found.elsewhere(&format!("spec.valuesFrom has {}", reference(source)));
                }
                "spec.values".to_owned()
            }
            Self::Application | Self::ApplicationSet => {
                let (place, source) = the_source(document).ok_or_else(none)?;
                found.argo(&place, source.get("helm").unwrap_or(&Value::Null))?;
                let of_chart = source.get("chart").is_some();
                found.chart_version =
                    source["targetRevision"].as_str().filter(|_| of_chart).map(str::to_owned);
                if self == Self::Application {
                    let own = source.pointer("/helm/releaseName").and_then(Value::as_str);
                    found.release = own.map(str::to_owned).or_else(|| at("/metadata/name"));
                    found.namespace = at("/spec/destination/namespace");
                }
                format!("{place}.helm")
            }
            Self::HelmChart => {
                found.values = text(document.pointer("/spec/valuesContent"), "spec.valuesContent")?;
                found.release = at("/metadata/name");
                found.namespace = at("/spec/targetNamespace");
                found.chart_version = at("/spec/version");
                let set = document.pointer("/spec/set").and_then(Value::as_object);
                for (path, value) in set.into_iter().flatten() {
                    let value = value.as_str().map_or_else(|| value.clone(), parameters::typed);
                    found.set("spec.set", path, &value);
                }
                "spec.valuesContent".to_owned()
            }
            Self::Kustomization => {
                let charts: Vec<&Value> = list(document, "/helmCharts").collect();
                let consul = charts.iter().position(|chart| chart["name"] == "consul");
                let index = consul.or((charts.len() == 1).then_some(0)).ok_or_else(none)?;
                let chart = charts.get(index).ok_or_else(none)?;
                found.values = chart.get("valuesInline").cloned().unwrap_or_default();
                let part = |field: &str| chart.get(field).and_then(Value::as_str).map(str::to_owned);
                found.release = part("releaseName");
                found.namespace = part("namespace");
                found.chart_version = part("version");
                if let Some(file) = chart.get("valuesFile").and_then(Value::as_str) {
                    found.elsewhere(&format!("helmCharts[{index}].valuesFile names {file}"));
                }
                format!("helmCharts[{index}].valuesInline")
            }
            Self::ConfigMap => {
                let data = document.get("data").and_then(Value::as_object).ok_or_else(none)?;
                let key = match data.keys().collect::<Vec<_>>().as_slice() {
                    [only] => (*only).clone(),
                    _ => "values.yaml".to_owned(),
                };
                let place = format!("data.{key}");
                found.values = text(Some(data.get(&key).ok_or_else(none)?), &place)?;
                place
            }
            Self::None => return Err(none()),
        };
        found.notes.insert(0, format!("the values are read from {place} of {title}"));
        Ok(found)
    }
}

impl Found {
    /// The values of an Argo CD source: a string, or an object that replaces it, and
    /// parameters that override both.
    fn argo(&mut self, place: &str, helm: &Value) -> Result<(), HelmError> {
        self.values = match helm.get("valuesObject").filter(|values| !values.is_null()) {
            Some(values) => values.clone(),
            None => text(helm.get("values"), &format!("{place}.helm.values"))?,
        };
        for parameter in list(helm, "/parameters") {
            let [name, value] = ["name", "value"].map(|field| parameter[field].as_str().unwrap_or_default());
            let forced = parameter["forceString"] == json!(true);
            let value = if forced { json!(value) } else { parameters::typed(value) };
            self.set(&format!("{place}.helm.parameters"), name, &value);
        }
        for file in list(helm, "/valueFiles").chain(list(helm, "/fileParameters")) {
            let file = file.as_str().or(file["path"].as_str()).unwrap_or_default();
            self.elsewhere(&format!("{place}.helm names the file {file}"));
        }
        Ok(())
    }

    fn set(&mut self, place: &str, path: &str, value: &Value) {
        if self.values.is_null() {
            self.values = Value::Object(Map::new());
        }
        if parameters::set(&mut self.values, path, value) {
            self.notes.push(format!("{place} sets {path} to {value}"));
        } else {
            self.notes
                .push(format!("{place} sets {path}, which is not supported here: set it in the values"));
        }
    }

    fn elsewhere(&mut self, what: &str) {
        self.notes.push(format!("{what}, whose values are not read: merge all values into one file"));
    }
}

/// `the ConfigMap consul-values`
fn reference(source: &Value) -> String {
    let part = |field: &str| source.get(field).and_then(Value::as_str);
    // The first version of Flux had a field for each kind.
    let kinds = [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")];
    let old = kinds.into_iter().find_map(|(field, kind)| {
        Some((kind, source.get(field)?.get("name").and_then(Value::as_str).unwrap_or("?")))
    });
    let (kind, name) = old.unwrap_or((part("kind").unwrap_or("object"), part("name").unwrap_or("?")));
    format!("the {kind} {name}")
}

/// The sources of an Argo CD Application, each with its path.
fn sources(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let (place, spec) = match carrier(document) {
        Some(Carrier::ApplicationSet) => ("spec.template.spec", "/spec/template/spec"),
        _ => ("spec", "/spec"),
    };
    let one = document.pointer(&format!("{spec}/source")).map(|source| (format!("{place}.source"), source));
    let several = document.pointer(&format!("{spec}/sources")).and_then(Value::as_array);
    let several = several.into_iter().flatten().enumerate();
    let several = several.map(move |(index, source)| (format!("{place}.sources[{index}]"), source));
    one.into_iter().chain(several)
}

/// The source that installs Consul: the one with the chart `consul`, otherwise the only one with values.
fn the_source(document: &Value) -> Option<(String, &Value)> {
    let mut sources: Vec<_> = sources(document).collect();
    let is_consul = |source: &Value| {
        source["chart"].as_str().is_some_and(|chart| chart.rsplit('/').next() == Some("consul"))
    };
    if sources.iter().any(|(_, source)| is_consul(source)) {
        sources.retain(|(_, source)| is_consul(source));
    } else {
        sources.retain(|(_, source)| source.get("helm").is_some());
    }
    match sources.len() {
        1 => sources.pop(),
        _ => None,
    }
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// Values that are written as a string.
fn text(value: Option<&Value>, field: &str) -> Result<Value, HelmError> {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    documents::parse_one(text).map_err(|error| HelmError::Text { field: field.to_owned(), error })
}

/// The values of a chart that has Consul's as a dependency: those of the dependency's block,
/// overridden by the keys of the outer chart's `global` that Consul's chart knows.
fn of_dependency(values: &Value) -> Option<Value> {
    let blocks = ["client", "connectInject", "global", "server"];
    let mut own =
        values.get("consul").filter(|own| blocks.iter().any(|block| own.get(block).is_some()))?.clone();
    if !own["global"].is_object() {
        own["global"] = json!({});
    }
    for (key, value) in values.get("global").and_then(Value::as_object).into_iter().flatten() {
        if keys::children("global").any(|known| known == key) {
            lay_over(&mut own["global"][key], value);
        }
    }
    Some(own)
}
