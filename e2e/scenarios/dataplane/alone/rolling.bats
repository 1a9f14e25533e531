#!/usr/bin/env bats
# A rolling update in dataplane mode under load. It wants the machine for itself.

load ../../../lib/helpers
load ../../../lib/load
load ../../../lib/dataplane

setup_file() { controllers_are_ready; }

@test "dataplane-rolling-update: under load, with connections kept alive and with one a request, nothing is lost" {
    kubectl label namespace "$NS" --overwrite e2e.policy=dataplane-upstreams
    http dprolling
    services dprolling dprolling-client
    rolling_server dprolling old
    client dprolling-client dprolling:1234
    ready dprolling-client
    eventually 60 answers dprolling-client http://127.0.0.1:1234/ "I am old"
    eventually 60 routable dprolling 3
    under_load dprolling-client http://127.0.0.1:1234/ rolling_server dprolling new
    eventually 60 answers dprolling-client http://127.0.0.1:1234/ "I am new"
}
