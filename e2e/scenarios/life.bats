#!/usr/bin/env bats
# A pod's life in Consul: when it is connected to, and when no longer.

load ../lib/helpers

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
    eventually 60 registered slow-server-slow-server
    # Long enough for any of its checks to have run.
    never 8 routable slow-server
    k exec slow-server -- touch /tmp/go
    eventually 60 routable slow-server
}

@test "vanished: a pod whose heartbeat stops turns critical though its address answers" {
    needs_node
    server vanished-server "connect-sync-period: 1s"
    ready vanished-server
    eventually 60 routable vanished-server
    kill -STOP "$(container_process vanished-server consul-connect-lifecycle-sidecar)"
    eventually 60 check_is vanished-server-vanished-server Pod critical
    eventually 60 check_is vanished-server-vanished-server-sidecar-proxy "Proxy Public Listener" passing
    # The servers hear of it after the agent that answered.
    eventually 10 not_routable vanished-server
    kill -CONT "$(container_process vanished-server consul-connect-lifecycle-sidecar)"
    eventually 60 routable vanished-server
}

@test "envoy-killed: it comes back, and the mesh works again" {
    needs_node
    server envoy-server
    client envoy-client envoy-server:1234
    ready envoy-server envoy-client
    eventually 60 answers envoy-client http://127.0.0.1:1234/ "I am envoy-server"
    kill -KILL "$(container_process envoy-server consul-connect-envoy-sidecar)"
    kill -KILL "$(container_process envoy-client consul-connect-envoy-sidecar)"
    eventually 60 restarted envoy-server consul-connect-envoy-sidecar 0
    eventually 60 restarted envoy-client consul-connect-envoy-sidecar 0
    eventually 60 answers envoy-client http://127.0.0.1:1234/ "I am envoy-server"
}

@test "sidecar-killed: it comes back, and the pod's heartbeat with it" {
    needs_node
    server sidecar-server "connect-sync-period: 1s"
    ready sidecar-server
    eventually 60 routable sidecar-server
    kill -KILL "$(container_process sidecar-server consul-connect-lifecycle-sidecar)"
    eventually 60 restarted sidecar-server consul-connect-lifecycle-sidecar 0
    eventually 60 check_is sidecar-server-sidecar-server Pod passing
    eventually 60 routable sidecar-server
}

@test "sidecar-restarted: its own preStop does not keep the pod out for good" {
    needs_node
    server prestop-server "connect-sync-period: 1s"
    ready prestop-server
    eventually 60 routable prestop-server
    kill -TERM "$(container_process prestop-server consul-connect-lifecycle-sidecar)"
    eventually 60 restarted prestop-server consul-connect-lifecycle-sidecar 0
    eventually 60 routable prestop-server
}

@test "readiness: a probe that fails takes the pod out, and one that passes brings it back" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: ready-server
  annotations: {consul.hashicorp.com/connect-inject: "true", consul.hashicorp.com/connect-sync-period: 1s}
spec:
  containers:
    - name: ready-server
      image: busybox:latest
      command: [sh, -c, "trap exit TERM; mkdir /www; echo fine >/www/healthy; httpd -f -p 80 -h /www & wait"]
      ports: [{containerPort: 80, name: web}]
      readinessProbe: {httpGet: {path: /healthy, port: web}, periodSeconds: 1, failureThreshold: 2}
END
    ready ready-server
    eventually 60 routable ready-server
    k exec ready-server -- mv /www/healthy /www/ill
    eventually 30 not_routable ready-server
    # It lives all the same, so it stays registered: for longer than either heartbeat
    # may be away.
    eventually 60 check_is ready-server-ready-server-sidecar-proxy "Destination Alias" critical
    never 15 no_heartbeat ready-server-ready-server
    k exec ready-server -- mv /www/ill /www/healthy
    eventually 60 routable ready-server
}
no_heartbeat() { ! { check_is "$1" Pod passing && check_is "$1-sidecar-proxy" Pod passing; }; }

@test "one-failure: one of three changes nothing, three take the pod out" {
    # Consul's own probes fail as often as the file says.
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: patient-server
  annotations: {consul.hashicorp.com/connect-inject: "true", consul.hashicorp.com/connect-sync-period: 1s}
spec:
  containers:
    - name: patient-server
      image: busybox:latest
      command:
        - sh
        - -c
        - |
          trap exit TERM
          mkdir -p /www/cgi-bin
          cat >/www/cgi-bin/healthy <<'SCRIPT'
          #!/bin/sh
          left=0
          case $HTTP_USER_AGENT in */consul) [ ! -e /tmp/failures ] || read -r left </tmp/failures ;; esac
          if [ "$left" -gt 0 ]; then
              echo $((left - 1)) >/tmp/failures
              printf 'Status: 500 Ill\r\n\r\n'
          else
              printf 'Status: 200 OK\r\n\r\n'
          fi
          SCRIPT
          chmod 755 /www/cgi-bin/healthy
          httpd -f -p 80 -h /www &
          wait
      ports: [{containerPort: 80, name: web}]
      readinessProbe: {httpGet: {path: /cgi-bin/healthy, port: web}, periodSeconds: 1, failureThreshold: 3}
END
    ready patient-server
    eventually 60 routable patient-server
    fail_times patient-server 1
    never 5 not_routable patient-server
    eventually 60 failures_left patient-server 0
    # Some more than it takes, so that a look now and then sees it.
    fail_times patient-server 6
    eventually 60 not_routable patient-server
    eventually 60 routable patient-server
}
fail_times() { k exec "$1" -c "$1" -- sh -c 'echo "$1" >/tmp/failures' sh "$2"; }
failures_left() { equal "failures that are left" "$2" "$(k exec "$1" -c "$1" -- cat /tmp/failures)"; }

@test "readiness-tcp: a probe of a port that is closed takes the pod out" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: tcp-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: tcp-server
      image: busybox:latest
      command:
        - sh
        - -c
        - |
          trap exit TERM
          while true; do
              until [ -e /tmp/open ]; do sleep 0.2; done
              httpd -f -p 80 &
              while [ -e /tmp/open ]; do sleep 0.2; done
              kill $!
          done
      ports: [{containerPort: 80}]
      readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1, failureThreshold: 2}
END
    eventually 60 k exec tcp-server -c tcp-server -- touch /tmp/open
    ready tcp-server
    eventually 60 routable tcp-server
    k exec tcp-server -c tcp-server -- rm /tmp/open
    eventually 30 not_routable tcp-server
    k exec tcp-server -c tcp-server -- touch /tmp/open
    eventually 60 routable tcp-server
}

@test "readiness-request: Consul asks for what the kubelet asks for" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: request-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: request-server
      image: hashicorp/http-echo:latest
      args: [-text=ready, "-listen=:8080"]
      ports: [{containerPort: 8080}]
      readinessProbe:
        httpGet: {port: 8080, path: "//localhost/he alth?above=90%#now", httpHeaders: [{name: host, value: probe.example}]}
        periodSeconds: 1
END
    ready request-server
    eventually 60 routable request-server
    # The server writes of each request who was asked, for which path, the status and the program.
    for program in 'kube-probe/[0-9]' kube-probe/consul; do
        equal "requests of $program" "probe.example GET /he alth HTTP/1.1 200" "$(requests_of request-server "$program")"
    done
}
requests_of() {
    k logs "$1" -c "$1" | grep "$2" | sed 's/^[^ ]* [^ ]* \([^ ]*\) [^ ]* "\([^"]*\)" \([0-9]*\) .*/\1 \2 \3/' | sort -u
}

@test "readiness-grpc: a probe in gRPC's health protocol that hangs takes the pod out" {
    needs_node
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: grpc-server
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: grpc-server
      image: e2e/etcd:1
      args: [--data-dir=/tmp/data, "--listen-client-urls=http://0.0.0.0:2379", "--advertise-client-urls=http://127.0.0.1:2379"]
      ports: [{containerPort: 2379}]
      readinessProbe: {grpc: {port: 2379}, periodSeconds: 1, failureThreshold: 2}
END
    ready grpc-server
    eventually 60 routable grpc-server
    kill -STOP "$(container_process grpc-server grpc-server)"
    eventually 30 not_routable grpc-server
    kill -CONT "$(container_process grpc-server grpc-server)"
    eventually 60 routable grpc-server
}

@test "classic-end: without native sidecars Envoy outlives the app, too, whose last call works" {
    kubectl label namespace "$NS" --overwrite e2e.policy=classic
    server last-server
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: last-caller
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/connect-service-upstreams: last-server:1234
spec:
  terminationGracePeriodSeconds: 60
  containers:
    - name: last-caller
      image: tutum/curl:latest
      command:
        - sh
        - -c
        - |
          trap 'echo told to end; until [ -e /tmp/call ]; do sleep 0.1; done; curl -s http://127.0.0.1:1234/; exit' TERM
          httpd -f -p 8080 &
          wait
      ports: [{containerPort: 8080}]
END
    ready last-server last-caller
    eventually 60 answers last-caller http://127.0.0.1:1234/ "I am last-server"
    eventually 60 routable last-caller
    k logs --follow last-caller -c last-caller >"$BATS_TEST_TMPDIR/said" 3>&- &
    local follower=$!
    k delete pod last-caller --wait=false
    eventually 40 grep "told to end" "$BATS_TEST_TMPDIR/said"
    # So were its sidecars.
    eventually 40 not_routable last-caller
    never 2 routable last-caller
    registered last-caller-last-caller
    k exec last-caller -c last-caller -- touch /tmp/call
    wait $follower
    contains "what the app printed" "I am last-server" "$(cat "$BATS_TEST_TMPDIR/said")"
    eventually 60 not_registered last-caller-last-caller
    eventually 60 not_registered last-caller-last-caller-sidecar-proxy
}
