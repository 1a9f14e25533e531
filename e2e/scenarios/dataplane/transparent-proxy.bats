#!/usr/bin/env bats
# Dataplane mode with transparent proxy: pods call a service as before, and its traffic
# goes through the mesh.

load ../../lib/helpers
load ../../lib/dataplane

export POLICY=dataplane

setup_file() { controllers_are_ready; }

# cluster_ip SERVICE
cluster_ip() { field "service/$1" '{.spec.clusterIP}'; }

# listeners POD [ANNOTATION...]: a server on 8080 with a second one on 9090 beside it.
two_ports() {
    local name=$1
    shift
    k apply -f - <<END
apiVersion: v1
kind: Pod
metadata:
  name: $name
  labels: {app: $name}
  annotations:
    consul.hashicorp.com/connect-inject: "true"
    consul.hashicorp.com/connect-service-port: "8080"
$(annotations "$@")
spec:
  containers:
    - name: $name
      image: hashicorp/http-echo:latest
      args: ["-text=I am $name", "-listen=:8080"]
      ports: [{containerPort: 8080, name: http}]
    - name: admin
      image: hashicorp/http-echo:latest
      args: ["-text=I administer $name", "-listen=:9090"]
      ports: [{containerPort: 9090, name: admin}]
END
}

@test "tproxy: by the cluster address and by NAME.virtual.consul, never beside the mesh" {
    server tproxy-server
    client tproxy-client ""
    services tproxy-server tproxy-client
    plain_client tproxy-outsider
    ready tproxy-server tproxy-client tproxy-outsider
    eventually 60 answers tproxy-client "http://$(cluster_ip tproxy-server)/" "I am tproxy-server"
    eventually 60 answers tproxy-client http://tproxy-server.virtual.consul/ "I am tproxy-server"
    # The pod's own ports lead to its proxy, which asks for a certificate of the mesh.
    fails get tproxy-outsider "http://$(pod_ip tproxy-server):8080/"
    deny tproxy-client tproxy-server
    eventually 60 fails get tproxy-client "http://$(cluster_ip tproxy-server)/"
    fails get tproxy-client http://tproxy-server.virtual.consul/
    allow_again tproxy-server
    eventually 60 answers tproxy-client http://tproxy-server.virtual.consul/ "I am tproxy-server"
}

@test "tproxy-excluded: ports and users that the annotations exclude stay beside the mesh" {
    two_ports excluding-server 'transparent-proxy-exclude-inbound-ports: "admin"'
    client excluding-client "" 'transparent-proxy-exclude-outbound-ports: "9090"' 'transparent-proxy-exclude-uids: "2000"'
    server excluding-denied
    services excluding-server excluding-client excluding-denied
    plain_client excluding-outsider
    ready excluding-server excluding-client excluding-denied excluding-outsider
    # Inbound: the excluded port is the app's own, the other one the proxy's.
    answers excluding-outsider "http://$(pod_ip excluding-server):9090/" "I administer excluding-server"
    fails get excluding-outsider "http://$(pod_ip excluding-server):8080/"
    # Outbound: past a proxy that would not let it through.
    deny excluding-client excluding-server
    answers excluding-client "http://$(pod_ip excluding-server):9090/" "I administer excluding-server"
}
