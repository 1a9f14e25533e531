# The controllers of consul-k8s, which register dataplane mode's pods in Consul, and
# the chart's webhook, which is the same program. Sourced by run.sh and dataplane.bash.
# shellcheck shell=bash

# start_controllers: those of the plain Consul, and the name server that pods expect. They
# have the node's address, where the API server calls the webhook.
start_controllers() {
    local ignored
    ignored=$(secure_namespaces | sed 's/.*/"-deny-k8s-namespace=&"/' | paste -sd,)
    [ -f "$SCRATCH/consul-name-server.pid" ] || inside env E2E_SCRATCH="$SCRATCH" "$E2E_DIR/lib/consul.sh" start name-server
    anywhere kubectl apply --server-side -f - <<<"$(crds)" >/dev/null
    anywhere kubectl wait --for=condition=Established crd --selector e2e=controllers --timeout=60s >/dev/null
    anywhere kubectl apply -f - <<<"$(controllers consul "hostNetwork: true" "\"-allow-k8s-namespace=*\", $ignored" "
        - {name: CONSUL_ADDRESSES, value: $CONSUL_SERVER_IP}
        - {name: CONSUL_GRPC_PORT, value: '8502'}
        - {name: CONSUL_HTTP_PORT, value: '8500'}")" >/dev/null
}

# start_secure_controllers: those of the Consul with ACLs and TLS, for the namespaces
# that the others ignore.
start_secure_controllers() {
    local allowed
    allowed=$(secure_namespaces | sed 's/.*/"-allow-k8s-namespace=&"/' | paste -sd,)
    kubectl apply -f - <<<"$(controllers consul-secure "hostNetwork: false" "$allowed, -acl-auth-method=consul-k8s-auth-method" "
        - {name: CONSUL_ADDRESSES, value: $SECURE_CONSUL_SERVER_IP}
        - {name: CONSUL_GRPC_PORT, value: '8503'}
        - {name: CONSUL_HTTP_PORT, value: '9501'}
        - {name: CONSUL_USE_TLS, value: 'true'}
        - {name: CONSUL_CACERT_FILE, value: /certs/ca.crt}
        - {name: CONSUL_TLS_SERVER_NAME, value: server.dc1.consul}
        - {name: CONSUL_ACL_TOKEN, value: $CONSUL_TOKEN}")"
}

# secure_namespaces: of the scenarios that use the Consul with ACLs and TLS.
secure_namespaces() { sed -n 's/^@test "\([^:"]*\).*/e2e-\1/p' "$E2E_DIR"/scenarios/dataplane/{acls,alone/move}.bats; }

# controllers NAMESPACE FIELD ARGUMENTS ENVIRONMENT: they run there, with the chart's
# defaults and with all rights. They ask the API server at the node's address, since the
# cluster has no kube-proxy.
controllers() {
    local pki=$SCRATCH/pki
    cat <<END
apiVersion: v1
kind: Namespace
metadata: {name: $1}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: controllers, namespace: $1}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: e2e-controllers-$1}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: controllers, namespace: $1}]
---
apiVersion: v1
kind: Secret
metadata: {name: certs, namespace: $1}
data:
  ca.crt: $(base64 -w0 "$pki/ca.crt")
  tls.crt: $(base64 -w0 "$pki/server.crt")
  tls.key: $(base64 -w0 "$pki/server.key")
---
apiVersion: v1
kind: Pod
metadata: {name: controllers, namespace: $1}
spec:
  serviceAccountName: controllers
  $2
  containers:
    - name: controllers
      image: $IMAGE_CONSUL_K8S
      command: [consul-k8s-control-plane, inject-connect, -listen=:8080, -tls-cert-dir=/certs,
          -consul-image=unused, -consul-k8s-image=$IMAGE_CONSUL_K8S, -consul-dataplane-image=$IMAGE_CONSUL_DATAPLANE,
          -release-name=consul, -release-namespace=$1, -resource-prefix=consul, -default-inject=false, -enable-consul-dns=true,
          -default-enable-sidecar-proxy-lifecycle=true, -default-enable-sidecar-proxy-lifecycle-shutdown-drain-listeners=true,
          -default-sidecar-proxy-lifecycle-shutdown-grace-period-seconds=30, $3]
      env:
        - {name: NAMESPACE, value: $1}
        - {name: POD_NAME, value: controllers}
        - {name: KUBERNETES_SERVICE_HOST, value: $NODE_IP}
        - {name: KUBERNETES_SERVICE_PORT, value: '6443'}
        - {name: CONSUL_DATACENTER, value: dc1}
        - {name: CONSUL_API_TIMEOUT, value: 5s}
        - {name: CONSUL_DUAL_STACK, value: 'false'}$4
      readinessProbe: {httpGet: {path: /readyz/ready, port: 9445}, periodSeconds: 1}
      volumeMounts: [{name: certs, mountPath: /certs, readOnly: true}]
  volumes: [{name: certs, secret: {secretName: certs}}]
END
}

# crds: the kinds that the controllers watch, without schemas. The API server asks for the
# annotation in groups of Kubernetes' own.
crds() {
    local group kind plural scope versions version stored
    while read -r group kind plural scope versions; do
        cat <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: $plural.$group
  labels: {e2e: controllers}
  annotations: {api-approved.kubernetes.io: unapproved}
spec:
  group: $group
  scope: $scope
  names: {kind: $kind, plural: $plural}
  versions:
END
        stored=true
        for version in $versions; do
            cat <<END
    - name: $version
      served: true
      storage: $stored
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
END
            stored=false
        done
        echo ---
    done <"$E2E_DIR/dataplane/kinds"
}
