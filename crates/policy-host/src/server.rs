//! Serves policies over HTTP with the policy server's paths and formats, so
//! that an API server cannot tell the difference.
//!
//! | path | in | out |
//! |---|---|---|
//! | `POST /validate/{policy}` | `AdmissionReview` | `AdmissionReview` |
//! | `POST /audit/{policy}` | `AdmissionReview` | the same, without mode and constraints |
//! | `GET /readiness` | | `200`; see [`readiness`] |

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::{sync::Semaphore, task};

use crate::{
    AdmissionRequest, AdmissionResponse, CallError, LoadError, LogSink, Policy,
    policies::{self, NotLocal, PolicyEntry},
};

/// The policy server's limit for the body of a request.
pub const BODY_LIMIT: usize = 2 * 1024 * 1024;

/// Why a policy cannot be served. The server then does not start.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error(transparent)]
    Location(#[from] NotLocal),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("Policy settings are invalid: {0}")]
    Settings(String),
}

/// A policy with its entry in `policies.yml`.
pub struct Served {
    policy: Policy,
    entry: PolicyEntry,
    settings: Value,
}

impl Served {
    /// Loads a policy and validates its settings with it. `timeout` applies to entries
    /// without a timeout of their own.
    pub fn load(entry: PolicyEntry, timeout: Option<Duration>, log: LogSink) -> Result<Self, ServeError> {
        let policy = Policy::builder()
            .timeout(entry.timeout().or(timeout))
            .log(log)
            .path(policies::local_path(&entry.module)?)?;
        let settings = entry.settings();
        let answer = policy.validate_settings(&settings)?;
        if !answer.valid {
            let message = answer.message.unwrap_or_else(|| "no message".to_owned());
            return Err(ServeError::Settings(message));
        }
        Ok(Self { policy, entry, settings })
    }

    /// Why the policy server would not start with this entry, although this host does, and
    /// what to do about it.
    pub fn notes(&self) -> Vec<String> {
        let annotated = self.policy.metadata().is_some_and(|metadata| metadata.protocol_version.is_some());
        let unannotated = (!annotated).then(|| {
            format!(
                "a policy server does not start with this module, because it has no metadata with a protocol \
                 version: add it with `kwctl annotate -m metadata.yml -o annotated-policy.wasm {}`",
                self.entry.module.strip_prefix("file://").unwrap_or(&self.entry.module)
            )
        });
        unannotated.into_iter().chain(self.entry.place_note()).collect()
    }
}

/// An answered request, for the log.
#[derive(Debug)]
pub struct Event<'a> {
    pub policy: &'a str,
    pub request: &'a AdmissionRequest,
    pub response: &'a AdmissionResponse,
    pub failure: Option<&'a CallError>,
    pub took: Duration,
}

pub type EventSink = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// The state that all requests share.
pub struct Server {
    policies: BTreeMap<String, Served>,
    /// Limits the requests in progress: guests only compute, so more would not be faster.
    workers: Arc<Semaphore>,
    exempt_namespace: Option<String>,
    events: EventSink,
}

impl Server {
    /// A server for these policies that processes this many requests at once.
    pub fn new(policies: BTreeMap<String, Served>, workers: usize, events: EventSink) -> Self {
        Self { policies, workers: Arc::new(Semaphore::new(workers.max(1))), exempt_namespace: None, events }
    }

    /// Accepts every request of this namespace without calling a policy, as the policy server
    /// does for its own.
    #[must_use]
    pub fn always_accept(mut self, namespace: Option<String>) -> Self {
        self.exempt_namespace = namespace;
        self
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/validate/{policy}", post(validate))
            .route("/audit/{policy}", post(audit))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::new(self))
    }

    fn review(&self, id: &str, request: &AdmissionRequest, origin: Origin) -> Option<AdmissionResponse> {
        let served = self.policies.get(id)?;
        let began = Instant::now();
        if request.namespace.is_some() && request.namespace == self.exempt_namespace {
            return Some(AdmissionResponse {
                uid: request.uid.clone(),
                allowed: true,
                ..AdmissionResponse::default()
            });
        }
        let review = served.policy.review(request, &served.settings);
        let response = match origin {
            Origin::Audit => review.response,
            Origin::Validate => review.response.constrained(
                id,
                served.entry.policy_mode,
                served.entry.allowed_to_mutate.unwrap_or_default(),
                served.entry.message.as_deref(),
            ),
        };
        (self.events)(&Event {
            policy: id,
            request,
            response: &response,
            failure: review.failure.as_ref(),
            took: began.elapsed(),
        });
        Some(response)
    }
}

/// The routes of the readiness probe. The policy server serves them on a separate port
/// without TLS, and listens there only when it can answer requests.
pub fn readiness() -> Router {
    Router::new().route("/readiness", get(|| async { StatusCode::OK }))
}

#[derive(Clone, Copy)]
enum Origin {
    Validate,
    Audit,
}

// The names of these two types appear in error messages, so they are the policy server's, as
// are the requirements on `kind` and `apiVersion`.
#[derive(Deserialize)]
struct AdmissionReviewRequest {
    #[serde(rename = "kind")]
    _kind: Option<String>,
    #[serde(rename = "apiVersion")]
    _api_version: Option<String>,
    request: AdmissionRequest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReviewOut {
    kind: &'static str,
    api_version: &'static str,
    response: AdmissionResponse,
}

async fn validate(
    State(server): State<Arc<Server>>,
    Path(policy): Path<String>,
    input: Result<Json<AdmissionReviewRequest>, JsonRejection>,
) -> Result<Json<ReviewOut>, ApiError> {
    let Json(review) = input?;
    admission(server, policy, review, Origin::Validate).await
}

// Here axum rejects other JSON with a plain text error, as in the policy server.
async fn audit(
    State(server): State<Arc<Server>>,
    Path(policy): Path<String>,
    Json(review): Json<AdmissionReviewRequest>,
) -> Result<Json<ReviewOut>, ApiError> {
    admission(server, policy, review, Origin::Audit).await
}

async fn admission(
    server: Arc<Server>,
    policy: String,
    AdmissionReviewRequest { request, .. }: AdmissionReviewRequest,
    origin: Origin,
) -> Result<Json<ReviewOut>, ApiError> {
    let worker = Arc::clone(&server);
    let permit = Arc::clone(&server.workers).acquire_owned().await.map_err(|_| ApiError::internal())?;
    let response = task::spawn_blocking(move || {
        // Held by the work itself, which continues if the client disconnects.
        let _permit = permit;
        worker.review(&policy, &request, origin).ok_or_else(|| ApiError {
            status: StatusCode::NOT_FOUND,
            message: format!("unknown policy: {policy}"),
        })
    })
    .await
    .map_err(|_| ApiError::internal())??;
    Ok(Json(ReviewOut { kind: "AdmissionReview", api_version: "admission.k8s.io/v1", response }))
}

/// An HTTP error that does not come from a policy.
struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    fn internal() -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: "Something went wrong".to_owned() }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self { status: rejection.status(), message: rejection.body_text() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "message": self.message, "status": self.status.as_u16() });
        (self.status, Json(body)).into_response()
    }
}
