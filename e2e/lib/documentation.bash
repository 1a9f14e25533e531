# What both documentation pages promise about their server and client, for scenarios that
# have applied the YAML.
# shellcheck shell=bash

# hello_world SERVER CLIENT [SERVER-POD CLIENT-POD]: the names of the services.
hello_world() {
    local server=$1 client=$2 server_pod=${3:-$1} client_pod=${4:-$2} variables
    ready "$server_pod" "$client_pod"
    injected "$server_pod"
    injected "$client_pod"
    # The previous scenario had a service with this name.
    eventually 60 routable "$server"

    eventually 60 answers "$client_pod" http://127.0.0.1:1234/ '"hello world"'

    # Like Kubernetes' own variables, in all containers of the pod.
    variables=$(echo "$server" | tr 'a-z-' 'A-Z_')_CONNECT_SERVICE
    contains "through the variables" '"hello world"' \
        "$(k exec "$client_pod" -- sh -c "curl -s \"http://\$${variables}_HOST:\$${variables}_PORT/\"")"

    deny "$client" "$server"
    eventually 60 refused "$client_pod" http://127.0.0.1:1234/
    allow_again "$server"
    eventually 60 answers "$client_pod" http://127.0.0.1:1234/ '"hello world"'
}
