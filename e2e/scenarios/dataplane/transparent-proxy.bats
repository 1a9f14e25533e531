#!/usr/bin/env bats
# Dataplane mode with transparent proxy: pods call a service as before, and its traffic
# goes through the mesh.

load ../../lib/helpers
load ../../lib/dataplane

export POLICY=dataplane

setup_file() { controllers_are_ready; }

# cluster_ip SERVICE
cluster_ip() { field "service/$1" '{.spec.clusterIP}'; }

@test "tproxy: by the cluster address and by NAME.virtual.consul, never beside the mesh" {
    server tproxy-server
    client tproxy-client ""
    services tproxy-server tproxy-client
    plain_client tproxy-outsider
    ready tproxy-server tproxy-client tproxy-outsider
    eventually 60 answers tproxy-client "http://$(cluster_ip tproxy-server)/" "I am tproxy-server"
    eventually 60 answers tproxy-client http://tproxy-server.virtual.consul/ "I am tproxy-server"
    answers tproxy-client "http://$(cluster_ip tproxy-server):81/" "I am tproxy-server"
    # The pod's own ports lead to its proxy, which asks for a certificate of the mesh.
    fails get tproxy-outsider "http://$(pod_ip tproxy-server):8080/"
    deny tproxy-client tproxy-server
    eventually 60 fails get tproxy-client "http://$(cluster_ip tproxy-server)/"
    fails get tproxy-client http://tproxy-server.virtual.consul/
    allow_again tproxy-server
    eventually 60 answers tproxy-client http://tproxy-server.virtual.consul/ "I am tproxy-server"
}

# two_ports NAME ANNOTATION...: the server on 8080, and one for its administrators on 9090.
two_ports() {
    k apply -f - <<END
$(pod "$@")
spec:
  containers:
    - name: $1
      image: hashicorp/http-echo:latest
      args: ["-text=I am $1", "-listen=:8080"]
      ports: [{containerPort: 8080, name: http}]
    - name: admin
      image: hashicorp/http-echo:latest
      args: ["-text=I administer $1", "-listen=:9090"]
      ports: [{containerPort: 9090, name: admin}]
END
}

@test "tproxy-excluded-inbound: a port that the annotation excludes is reached beside the mesh, the others are not" {
    two_ports excluding-server "transparent-proxy-exclude-inbound-ports: admin"
    services excluding-server
    plain_client excluding-outsider
    ready excluding-server excluding-outsider
    answers excluding-outsider "http://$(pod_ip excluding-server):9090/" "I administer excluding-server"
    fails get excluding-outsider "http://$(pod_ip excluding-server):8080/"
}

# two_users NAME ANNOTATION...: a client with a container that runs as user 2000 beside it.
two_users() {
    k apply -f - <<END
$(pod "$@")
spec:
  containers:
    - &client
      name: $1
      image: tutum/curl:latest
      command: [/bin/sh, -c, "trap exit TERM; while true; do sleep 30 & wait; done"]
    - <<: *client
      name: user-2000
      securityContext: {runAsUser: 2000}
END
}

@test "tproxy-excluded-outbound: ports, addresses and users that the annotations exclude go out beside the mesh" {
    server excluded-server
    server excluded-address
    services excluded-server excluded-address
    local server address
    server=$(cluster_ip excluded-server)
    address=$(cluster_ip excluded-address)
    two_users excluded-client 'transparent-proxy-exclude-outbound-ports: "81"' \
        "transparent-proxy-exclude-outbound-cidrs: $address/32" 'transparent-proxy-exclude-uids: "2000"'
    services excluded-client
    ready excluded-server excluded-address excluded-client
    eventually 60 answers excluded-client "http://$server/" "I am excluded-server"
    # This cluster has no kube-proxy: beside the mesh, nothing is behind a cluster address.
    fails get excluded-client "http://$server:81/"
    fails get excluded-client "http://$address/"
    fails k exec excluded-client -c user-2000 -- curl -s --max-time 5 "http://$server/"
}

@test "tproxy-job: a Job calls a service by its name in Consul and finishes" {
    server tpjob-server
    services tpjob-server tpjob
    ready tpjob-server
    eventually 60 routable tpjob-server
    job tpjob http://tpjob-server.virtual.consul/
    k wait --for=condition=Complete --timeout=120s job/tpjob
    contains "what it printed" "I am tpjob-server" "$(k logs job/tpjob -c tpjob)"
}

@test "tproxy-probes: the kubelet's HTTP probes pass through Envoy, and a failing one takes the pod out" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: tpprobed
  labels: {app: tpprobed}
  annotations: {consul.hashicorp.com/connect-inject: "true"}
spec:
  containers:
    - name: tpprobed
      image: busybox:latest
      command: [sh, -c, "trap exit TERM; mkdir /www; echo fine | tee /www/started /www/alive >/www/healthy; httpd -f -p 8080 -h /www & wait"]
      ports: [{containerPort: 8080, name: http}]
      startupProbe: {httpGet: {path: /started, port: http}, periodSeconds: 1}
      livenessProbe: {httpGet: {path: /alive, port: 8080}, periodSeconds: 1, failureThreshold: 2}
      readinessProbe: {httpGet: {path: /healthy, port: http}, periodSeconds: 1, failureThreshold: 2}
END
    services tpprobed
    ready tpprobed
    equal "ports" "20500 20300 20400" "$(field tpprobed '{range .spec.containers[0]}{.startupProbe.httpGet.port} {.livenessProbe.httpGet.port} {.readinessProbe.httpGet.port}{end}')"
    eventually 60 routable tpprobed
    k exec tpprobed -- mv /www/healthy /www/ill
    eventually 60 not_routable tpprobed
    k exec tpprobed -- mv /www/ill /www/healthy
    eventually 60 routable tpprobed
    equal "restarts" 0 "$(restarts tpprobed tpprobed)"
    k exec tpprobed -- rm /www/alive
    eventually 60 restarted tpprobed tpprobed 0
}

@test "tproxy-dns: the proxy answers for .consul, the cluster's name server for the rest" {
    server dns-server
    client dns-client ""
    client dns-without "" 'consul-dns: "false"'
    services dns-server dns-client dns-without
    ready dns-server dns-client dns-without
    eventually 60 routable dns-server
    eventually 60 resolves dns-client dns-server.virtual.consul 240.0.0.
    eventually 60 resolves dns-client dns-server.service.consul "$(pod_ip dns-server)"
    # The name server of the cluster knows this one, as the address of the node.
    answers dns-client http://name-server.node.example:8500/v1/status/leader "$CONSUL_SERVER_IP"
    answers dns-without http://name-server.node.example:8500/v1/status/leader "$CONSUL_SERVER_IP"
    fails resolves dns-without dns-server.virtual.consul 240.0.0.
}

# resolves POD NAME ADDRESS: the beginning of the address will do.
resolves() { contains "addresses of $2" "$3" "$(k exec "$1" -- nslookup "$2" | sed 1,3d)"; }

@test "tproxy-metrics: one scrape, beside the mesh, has the app's figures and Envoy's" {
    k apply -f - <<'END'
apiVersion: v1
kind: Pod
metadata:
  name: tpmetrics
  labels: {app: tpmetrics}
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/enable-metrics: "true"
    consul.hashicorp.com/enable-metrics-merging: "true"
    consul.hashicorp.com/service-metrics-port: figures
    consul.hashicorp.com/service-metrics-path: /figures
spec:
  containers:
    - name: tpmetrics
      image: hashicorp/http-echo:latest
      args: ["-text=I am tpmetrics", "-listen=:8080"]
      ports: [{containerPort: 8080}]
    - name: figures
      image: hashicorp/http-echo:latest
      args: ["-text=figures_of_the_app 42", "-listen=:9090"]
      ports: [{containerPort: 9090, name: figures}]
END
    services tpmetrics
    plain_client tpmetrics-prometheus
    ready tpmetrics tpmetrics-prometheus
    eventually 60 scraped tpmetrics-prometheus tpmetrics
    answers tpmetrics-prometheus "$(scrape_url tpmetrics)" "figures_of_the_app 42"
}

@test "tproxy-intention: one by path lets calls of that path through, and no others" {
    server pathed
    client pathed-client ""
    services pathed pathed-client
    k apply -f - <<'END'
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceDefaults
metadata: {name: pathed}
spec: {protocol: http}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceIntentions
metadata: {name: pathed}
spec:
  destination: {name: pathed}
  sources:
    - name: pathed-client
      permissions:
        - {action: allow, http: {pathPrefix: /open}}
        - {action: deny, http: {pathPrefix: /}}
END
    ready pathed pathed-client
    eventually 60 status_is pathed-client http://pathed.virtual.consul/open/door 200
    eventually 60 status_is pathed-client http://pathed.virtual.consul/closed 403
    status_is pathed-client http://pathed.virtual.consul/open/door 200
}
status_is() { equal "status of $2" "$3" "$(get "$1" "$2" -o /dev/null -w '%{http_code}')"; }

@test "tproxy-restricted: without the CNI plugin the strictest Pod Security Standard refuses the pod, and kubectl says why" {
    kubectl label namespace "$NS" --overwrite pod-security.kubernetes.io/enforce=restricted
    local told
    told=$(restricted_server tprestricted | fails k apply -f - 2>&1)
    contains "what kubectl prints" 'violates PodSecurity "restricted' "$told"
    contains "what kubectl prints" NET_ADMIN "$told"
    contains "what kubectl prints" consul-connect-inject-init "$told"
}
