# Helpers of the scenarios with ACLs and TLS: Consul, its auth method, and pods.
# shellcheck shell=bash

export CONSUL_URL=https://client.dc1.consul:9501

consul_curl() {
    curl -sf --max-time 10 --cacert "$SCRATCH/pki/ca.crt" --connect-to "client.dc1.consul:9501:$NODE_IP:9501" \
        -H "X-Consul-Token: $CONSUL_TOKEN" "$@"
}

# start_secure_consul: starts it once for each cluster, with the auth method with which the
# pods log in. The auth method uses this cluster's API server.
start_secure_consul() {
    local agent
    [ ! -f "$SCRATCH/consul-secure.ready" ] || return 0
    for agent in secure-server secure-client; do
        [ -f "$SCRATCH/consul-$agent.pid" ] || "$E2E_DIR/lib/consul.sh" start "$agent"
    done
    kubectl apply -f "$TESTDATA/auth-method.yaml"
    eventually 60 consul_get agent/self
    auth_method consul-k8s-auth-method
    # Consul's minimum.
    auth_method brief 1m
    touch "$SCRATCH/consul-secure.ready"
}

# auth_method NAME [TTL]: creates an auth method whose tokens have this TTL.
auth_method() {
    local token
    token=$(kubectl --namespace kube-system create token e2e-consul-auth --duration=24h)
    eventually 60 consul_put acl/auth-method "$(jq -nc --arg name "$1" --arg ttl "${2:-0s}" --arg host "https://$NODE_IP:6443" \
        --arg token "$token" --rawfile ca "$SCRATCH/pki/ca.crt" '{Name: $name, Type: "kubernetes", MaxTokenTTL: $ttl,
            Config: {Host: $host, CACert: $ca, ServiceAccountJWT: $token}}')"
    consul_put acl/binding-rule "$(jq -nc --arg name "$1" '{AuthMethod: $name, BindType: "service",
        BindName: "${serviceaccount.name}", Selector: "serviceaccount.name != default"}')"
}

account() { k create serviceaccount "$1"; }

# server_as NAME [FIELD OF THE SPEC] [SECURITY CONTEXT] [ANNOTATION]: prints the YAML of a
# server whose service account has its name.
server_as() {
    cat <<END
$(pod "$1" "${@:4}")
spec:
  serviceAccountName: $1
  ${2:-restartPolicy: Always}
  containers:
    - name: $1
      image: hashicorp/http-echo:latest
      args: ["-text=I am $1", "-listen=:8080"]
      ports: [{containerPort: 8080}]
      securityContext: ${3:-null}
END
}

# client_as NAME UPSTREAMS: prints the YAML of a client whose service account has its name.
client_as() {
    cat <<END
$(pod "$1" "connect-service-upstreams: \"$2\"")
spec:
  serviceAccountName: $1
  containers:
    - name: $1
      image: tutum/curl:latest
      command: [/bin/sh, -c, "trap exit TERM; while true; do sleep 30 & wait; done"]
END
}

# permit SOURCE DESTINATION: until it is removed or the scenario ends. Without an intention,
# everything is denied.
permit() {
    afterwards allow_again "$2"
    consul_put config "$(jq -nc --arg source "$1" --arg destination "$2" \
        '{Kind: "service-intentions", Name: $destination, Sources: [{Name: $source, Action: "allow"}]}')" >/dev/null
}

service_tokens() {
    consul_get "acl/tokens?authmethod=${AUTH_METHOD:-consul-k8s-auth-method}" | jq -r --arg name "$1" \
        '.[] | select(any(.ServiceIdentities[]?; .ServiceName == $name)) | .AccessorID'
}
tokens_of() { service_tokens "$1" | wc -l; }
equal_tokens() { equal "tokens of $1" "$2" "$(tokens_of "$1")"; }
delete_tokens_of() {
    local accessor
    for accessor in $(service_tokens "$1"); do consul_delete "acl/token/$accessor"; done
}
