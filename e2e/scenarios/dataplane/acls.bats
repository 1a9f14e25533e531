#!/usr/bin/env bats
# Dataplane mode with ACLs in default deny and TLS. The controllers of this Consul look
# only at the namespaces of this file's scenarios (lib/controllers.sh).

load ../../lib/helpers
load ../../lib/secure
load ../../lib/dataplane

export POLICY=dataplane-secure

setup_file() {
    start_secure_consul
    start_secure_controllers
    controllers_are_ready consul-secure
}

@test "dataplane-acl: pods log in, call by intention only, and leave neither tokens nor catalog entries" {
    account acl-server
    account acl-client
    services acl-server acl-client
    server_as acl-server | k apply -f -
    client_as acl-client acl-server:1234 | k apply -f -
    ready acl-server acl-client
    eventually 60 refused acl-client http://127.0.0.1:1234/
    permit acl-client acl-server
    eventually 60 answers acl-client http://127.0.0.1:1234/ "I am acl-server"
    # One of connect-init's and one of consul-dataplane's.
    eventually 60 equal_tokens acl-server 1
    allow_again acl-server # its removal: denied by default
    eventually 60 refused acl-client http://127.0.0.1:1234/

    k delete pod acl-server acl-client --wait=false
    eventually 60 equal_tokens acl-server 0
    eventually 60 equal_tokens acl-client 0
    eventually 60 catalog_is acl-server ""
    eventually 60 catalog_is acl-client ""
}

@test "dataplane-acl-classic: the same with an ordinary sidecar" {
    kubectl label namespace "$NS" --overwrite e2e.policy=dataplane-secure-classic
    account acl-classic
    services acl-classic
    server_as acl-classic | k apply -f -
    ready acl-classic
    classic acl-classic
    eventually 60 routable acl-classic
}

@test "dataplane-acl-account: a pod whose account is not its service's is refused with the remedy" {
    local told
    account acl-stranger
    told=$(server_as acl-stranger "" "" "connect-service: acl-owner" | fails k apply -f - 2>&1)
    contains "what kubectl prints" acl-owner "$told"
    contains "what kubectl prints" serviceAccountName "$told"
}
