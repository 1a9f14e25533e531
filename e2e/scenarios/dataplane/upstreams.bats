#!/usr/bin/env bats
# Dataplane mode without transparent proxy: pods call their upstreams on 127.0.0.1.

load ../../lib/helpers
load ../../lib/documentation
load ../../lib/dataplane

export POLICY=dataplane-upstreams

setup_file() { controllers_are_ready; }

@test "dataplane-docs: hello world by mutual TLS, not with a deny intention, and to nobody beside the mesh" {
    k apply -f "$TESTDATA/docs-1.9-server.yaml"
    k apply -f "$TESTDATA/docs-1.9-client.yaml"
    k label pod static-server app=static-server
    k label pod static-client app=static-client
    services static-server static-client
    hello_world static-server static-client
    native static-server
    # Envoy is what others reach of the pod, and it asks for a certificate of the mesh.
    plain_client docs-outsider
    ready docs-outsider
    fails get docs-outsider "http://$(pod_ip static-server):20000/"
    fails get docs-outsider "https://$(pod_ip static-server):20000/" --insecure
}
