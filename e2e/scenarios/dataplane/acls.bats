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

@test "dataplane-acl-multi-port: each service of the pod has a token of its own" {
    account multi-one
    account multi-two
    account multi-caller
    # Kubernetes makes none by itself.
    k apply -f - <<'END'
apiVersion: v1
kind: Secret
metadata: {name: multi-two, annotations: {kubernetes.io/service-account.name: multi-two}}
type: kubernetes.io/service-account-token
END
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: multi
  labels: {app: multi}
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/transparent-proxy: "false"
    consul.hashicorp.com/connect-service: "multi-one,multi-two"
    consul.hashicorp.com/connect-service-port: "one,two"
spec:
  serviceAccountName: multi-one
  containers:
    - name: one
      image: hashicorp/http-echo:latest
      args: ["-text=I am the first", "-listen=:8080"]
      ports: [{containerPort: 8080, name: one}]
    - name: two
      image: hashicorp/http-echo:latest
      args: ["-text=I am the second", "-listen=:9090"]
      ports: [{containerPort: 9090, name: two}]
END
    client_as multi-caller "multi-one:1234,multi-two:1235" | k apply -f -
    services multi-one multi-two multi-caller
    k set selector service multi-one app=multi
    k set selector service multi-two app=multi
    permit multi-caller multi-two
    ready multi multi-caller
    eventually 60 answers multi-caller http://127.0.0.1:1235/ "I am the second"
    refused multi-caller http://127.0.0.1:1234/
    equal_tokens multi-one 1
    equal_tokens multi-two 1
}

@test "dataplane-acl-job: it calls its upstream and finishes, and its tokens are gone" {
    account aclj-server
    account aclj
    services aclj-server aclj
    server_as aclj-server | k apply -f -
    permit aclj aclj-server
    ready aclj-server
    eventually 60 routable aclj-server
    ACCOUNT=aclj job aclj http://aclj-server.virtual.consul/
    k wait --for=condition=Complete --timeout=120s job/aclj
    contains "what it printed" "I am aclj-server" "$(k logs job/aclj -c aclj)"
    eventually 60 equal_tokens aclj 0
}
