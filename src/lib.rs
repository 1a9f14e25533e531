//! The Consul Connect sidecar injector as a Kubewarden policy.
