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
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels: {app: $1}
  annotations:
    consul.hashicorp.com/connect-inject: "true"
$(annotations "${@:2}")
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
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels: {app: $1}
  annotations:
    consul.hashicorp.com/connect-inject: "true"
$(annotations "${@:2}")
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
