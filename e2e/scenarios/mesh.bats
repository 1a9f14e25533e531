#!/usr/bin/env bats
# Pods talk through the mesh, and only as it allows.

load ../lib/helpers

# query NAME SERVICE: a prepared query, until the scenario ends.
query() {
    local id
    id=$(consul_post query "$(jq -nc --arg name "$1" --arg service "$2" \
        '{Name: $name, Service: {Service: $service, OnlyPassing: true, Connect: true}}')" | jq -r .ID)
    afterwards consul_delete "query/$id"
}

@test "two-upstreams: each on its own port, both in the variables" {
    server two-a
    server two-b
    client two-client "two-a:1234,two-b:1235"
    ready two-a two-b two-client
    eventually 60 answers two-client http://127.0.0.1:1234/ "I am two-a"
    eventually 60 answers two-client http://127.0.0.1:1235/ "I am two-b"
    equal "variables" "127.0.0.1:1234 127.0.0.1:1235" "$(k exec two-client -- sh -c \
        'echo $TWO_A_CONNECT_SERVICE_HOST:$TWO_A_CONNECT_SERVICE_PORT $TWO_B_CONNECT_SERVICE_HOST:$TWO_B_CONNECT_SERVICE_PORT')"
}

@test "prepared-query: an upstream by what Consul's query answers" {
    query e2e-query query-server
    server query-server
    # Consul asks a proxy's query at its start, and then only every 30 s.
    ready query-server
    eventually 60 routable query-server
    client query-client "prepared_query:e2e-query:1234"
    ready query-client
    eventually 60 answers query-client http://127.0.0.1:1234/ "I am query-server"
    equal "variables" 127.0.0.1:1234 "$(k exec query-client -- sh -c \
        'echo $E2E_QUERY_CONNECT_SERVICE_HOST:$E2E_QUERY_CONNECT_SERVICE_PORT')"
}

@test "service-and-query: a service's upstream beside a prepared query's" {
    query e2e-mixed-query mixed-b
    server mixed-a
    server mixed-b
    ready mixed-a mixed-b
    eventually 60 routable mixed-b
    client mixed-client "mixed-a:1234, prepared_query:e2e-mixed-query:1235"
    ready mixed-client
    eventually 60 answers mixed-client http://127.0.0.1:1234/ "I am mixed-a"
    eventually 60 answers mixed-client http://127.0.0.1:1235/ "I am mixed-b"
}

@test "datacenter: Consul has the upstream's, and the one of this cluster answers" {
    server dc-server
    client dc-client "dc-server:1234:dc1,dc-server:1235:dc2"
    ready dc-server
    eventually 60 registered dc-client-dc-client-sidecar-proxy
    equal "datacenters" '["dc1","dc2"]' \
        "$(consul_get agent/service/dc-client-dc-client-sidecar-proxy | jq -c '[.Proxy.Upstreams[].Datacenter]')"
    eventually 60 answers dc-client http://127.0.0.1:1234/ "I am dc-server"
}

@test "transition: an app on all addresses is reached in the mesh and beside it" {
    server transition-server
    client transition-client transition-server:1234
    plain_client transition-outsider
    ready transition-server transition-client transition-outsider
    eventually 60 answers transition-client http://127.0.0.1:1234/ "I am transition-server"
    answers transition-outsider "http://$(pod_ip transition-server):8080/" "I am transition-server"
}

@test "loopback-app: an app on 127.0.0.1 is reached in the mesh only" {
    LISTEN=127.0.0.1:8080 server loopback-server
    client loopback-client loopback-server:1234
    plain_client loopback-outsider
    ready loopback-server loopback-client loopback-outsider
    eventually 60 answers loopback-client http://127.0.0.1:1234/ "I am loopback-server"
    fails get loopback-outsider "http://$(pod_ip loopback-server):8080/"
}

@test "metrics: Prometheus finds Envoy's at the pod's address, beside the mesh" {
    server metrics-server 'enable-metrics: "true"'
    server metrics-path 'enable-metrics: "true"' 'prometheus-scrape-port: "9102"' 'prometheus-scrape-path: "/stats"'
    plain_client metrics-prometheus
    ready metrics-server metrics-path metrics-prometheus
    eventually 60 scraped metrics-prometheus metrics-server
    eventually 60 scraped metrics-prometheus metrics-path
    contains "where it is scraped" :9102/stats "$(scrape_url metrics-path)"
    # Neither Envoy's admin interface nor the app is behind the port.
    equal "status" 404 "$(get metrics-prometheus "http://$(pod_ip metrics-server):20200/config_dump" -o /dev/null -w '%{http_code}')"
}

@test "public-listener: without a certificate of the mesh it lets nobody in" {
    server public-server
    client public-client public-server:1234
    plain_client public-outsider
    ready public-server public-client public-outsider
    eventually 60 answers public-client http://127.0.0.1:1234/ "I am public-server"
    local ip
    ip=$(pod_ip public-server)
    fails get public-outsider "http://$ip:20000/"
    fails get public-outsider "https://$ip:20000/" --insecure
}

@test "named-port: the service and the upstream may name a port" {
    server named-server "connect-service-port: http"
    client named-client named-server:1234
    ready named-server named-client
    eventually 60 answers named-client http://127.0.0.1:1234/ "I am named-server"
    equal "port" 8080 "$(consul_get agent/service/named-server-named-server | jq .Port)"
}

@test "checks: Consul watches the pod, its proxy and the proxy's destination" {
    server checks-server
    ready checks-server
    eventually 60 routable checks-server
    eventually 60 check_is checks-server-checks-server Pod passing
    eventually 60 check_is checks-server-checks-server-sidecar-proxy "Proxy Public Listener" passing
    eventually 60 check_is checks-server-checks-server-sidecar-proxy "Destination Alias" passing
    equal "address" "$(pod_ip checks-server):20000" \
        "$(consul_get agent/service/checks-server-checks-server-sidecar-proxy | jq -r '"\(.Address):\(.Port)"')"
    equal "pod and namespace" "checks-server $NS" \
        "$(consul_get agent/service/checks-server-checks-server | jq -r '.Meta | "\(."pod-name") \(."k8s-namespace")"')"
}

@test "consul-image-without-curl: the pod works with Consul's UBI image too" {
    kubectl label namespace "$NS" --overwrite e2e.policy=ubi
    server ubi-server
    client ubi-client ubi-server:1234
    ready ubi-server ubi-client
    eventually 60 answers ubi-client http://127.0.0.1:1234/ "I am ubi-server"
    eventually 60 check_is ubi-server-ubi-server Pod passing
}
