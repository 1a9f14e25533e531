#!/usr/bin/env bats
# A pod's life in Consul: when it is connected to, and when no longer.

load ../lib/helpers

@test "deleted: out of load balancing within 2 s, and its registration gone at its end" {
    # The app goes on for a while, so that it is not its end that is seen.
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: deleted-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: deleted-server
      image: nginx
      ports: [{containerPort: 80}]
      lifecycle: {preStop: {sleep: {seconds: 6}}}
END
    ready deleted-server
    eventually 15 routable deleted-server
    k delete pod deleted-server --wait=false
    eventually 2 not_routable deleted-server
    k get pod deleted-server
    registered deleted-server-deleted-server
    k wait --for=delete pod/deleted-server --timeout=60s
    not_registered deleted-server-deleted-server
    not_registered deleted-server-deleted-server-sidecar-proxy
}

@test "slow-start: never connected to before its port answers" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: slow-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: slow-server
      image: busybox:latest
      command: [sh, -c, "trap exit TERM; (until [ -e /tmp/go ]; do sleep 0.1; done; exec httpd -f -p 127.0.0.1:80) & wait"]
      ports: [{containerPort: 80}]
END
    ready slow-server
    eventually 10 registered slow-server-slow-server
    # Long enough for any of its checks to have run.
    never 8 routable slow-server
    k exec slow-server -- touch /tmp/go
    eventually 12 routable slow-server
}

@test "vanished: a pod whose heartbeat stops turns critical though its address answers" {
    needs_node
    server vanished-server "connect-sync-period: 1s"
    ready vanished-server
    eventually 15 routable vanished-server
    kill -STOP "$(container_process vanished-server consul-connect-lifecycle-sidecar)"
    eventually 40 check_is vanished-server-vanished-server Pod critical
    check_is vanished-server-vanished-server-sidecar-proxy "Proxy Public Listener" passing
    not_routable vanished-server
    kill -CONT "$(container_process vanished-server consul-connect-lifecycle-sidecar)"
    eventually 10 routable vanished-server
}

@test "envoy-killed: it comes back, and the mesh works again" {
    needs_node
    server envoy-server
    client envoy-client envoy-server:1234
    ready envoy-server envoy-client
    eventually 15 answers envoy-client http://127.0.0.1:1234/ "I am envoy-server"
    kill -KILL "$(container_process envoy-server consul-connect-envoy-sidecar)"
    kill -KILL "$(container_process envoy-client consul-connect-envoy-sidecar)"
    eventually 30 restarted envoy-server consul-connect-envoy-sidecar 0
    eventually 30 restarted envoy-client consul-connect-envoy-sidecar 0
    eventually 30 answers envoy-client http://127.0.0.1:1234/ "I am envoy-server"
}

@test "sidecar-killed: it comes back, and the pod's heartbeat with it" {
    needs_node
    server sidecar-server "connect-sync-period: 1s"
    ready sidecar-server
    eventually 15 routable sidecar-server
    kill -KILL "$(container_process sidecar-server consul-connect-lifecycle-sidecar)"
    eventually 30 restarted sidecar-server consul-connect-lifecycle-sidecar 0
    eventually 30 check_is sidecar-server-sidecar-server Pod passing
    eventually 10 routable sidecar-server
}

@test "sidecar-restarted: its own preStop does not keep the pod out for good" {
    needs_node
    server prestop-server "connect-sync-period: 1s"
    ready prestop-server
    eventually 15 routable prestop-server
    kill -TERM "$(container_process prestop-server consul-connect-lifecycle-sidecar)"
    eventually 30 restarted prestop-server consul-connect-lifecycle-sidecar 0
    eventually 30 routable prestop-server
}

@test "readiness: a probe that fails takes the pod out, and one that passes brings it back" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: ready-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: ready-server
      image: busybox:latest
      command: [sh, -c, "trap exit TERM; mkdir /www; echo fine >/www/healthy; httpd -f -p 80 -h /www & wait"]
      ports: [{containerPort: 80, name: web}]
      readinessProbe: {httpGet: {path: /healthy, port: web}, periodSeconds: 1, failureThreshold: 2}
END
    ready ready-server
    eventually 10 routable ready-server
    k exec ready-server -- mv /www/healthy /www/ill
    eventually 15 not_routable ready-server
    k exec ready-server -- mv /www/ill /www/healthy
    eventually 15 routable ready-server
}
