#!/bin/sh
# Lists or removes what the controller of Consul's chart (1.0 and later) left in Consul:
# instances of deleted pods, to which Consul still sends traffic. See docs/migrate.md.
#
#   examples/consul/leftovers.sh [--remove] [--all-nodes] [NAMESPACE...]
#
#   --remove     deregisters the instances; without it, they are only listed
#   --all-nodes  also instances on nodes that this cluster does not have (any more).
#                Do not use it if another cluster's pods are registered in this Consul
#   NAMESPACE    only instances of these Kubernetes namespaces
#
# Needs kubectl, curl and jq. Uses the environment variables of Consul's CLI: CONSUL_HTTP_ADDR,
# CONSUL_HTTP_TOKEN (--remove needs an operator's), CONSUL_CACERT, and with Consul
# namespaces CONSUL_NAMESPACE='*'.
set -euf

remove='' elsewhere=false
while [ $# -gt 0 ]; do
  case $1 in
  --remove) remove=1 ;;
  --all-nodes) elsewhere=true ;;
  -*)
    sed -n 's/^# \{0,1\}//; 4,10p' "$0" >&2
    exit 2
    ;;
  *) break ;;
  esac
  shift
done

consul=${CONSUL_HTTP_ADDR:-127.0.0.1:8500}
case $consul in
*://*) ;;
*) consul=http://$consul ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# call PATH [CURL OPTIONS]: keeps the token out of command lines.
call() {
  path=$1
  shift
  printf 'header = "X-Consul-Token: %s"\n' "${CONSUL_HTTP_TOKEN:-}" |
    curl -sS -f -K - ${CONSUL_CACERT:+--cacert "$CONSUL_CACERT"} "$@" "$consul$path"
}

kubectl get pods --all-namespaces -o json >"$work/pods"
kubectl get nodes -o json >"$work/nodes"
jq '[.items[] | .metadata.uid, "\(.metadata.namespace)/\(.metadata.name)/\(.status.podIP)" | {(.): true}] | add // {}' \
  "$work/pods" >"$work/alive"
jq '[.items[] | {(.metadata.name + "-virtual"): true}] | add // {}' "$work/nodes" >"$work/here"
call '/v1/catalog/nodes?filter=Meta%5B%22synthetic-node%22%5D+%3D%3D+%22true%22' >"$work/synthetic"

jq -r '.[].Node' "$work/synthetic" | while read -r node; do
  call "/v1/catalog/node-services/$node${CONSUL_NAMESPACE:+?ns=$CONSUL_NAMESPACE}" >"$work/services"
  jq -c --arg node "$node" --argjson elsewhere "$elsewhere" --slurpfile alive "$work/alive" --slurpfile here "$work/here" '
    .Services[]
    | .Meta["k8s-namespace"] as $namespace
    | "\($namespace)/\(.Meta["pod-name"])" as $pod
    | select(.Meta["pod-name"] and ($ARGS.positional | length == 0 or any(. == $namespace)))
    | select($alive[0][.Meta["pod-uid"] // "\($pod)/\(.Address)"] | not)
    | { Node: $node, ServiceID: .ID, Namespace } | with_entries(select(.value))
    | { entry: ., known: ($elsewhere or $here[0][$node]), text: "\(.ServiceID) on \($node), of the pod \($pod)" }
  ' --args "$@" <"$work/services"
done >"$work/leftovers"

jq -r 'select(.known | not) | "skipped: \(.text): this cluster has no such node (--all-nodes)"' "$work/leftovers" >&2
if [ -z "$remove" ]; then
  jq -r 'select(.known) | .text' "$work/leftovers"
  exit
fi
jq -c 'select(.known)' "$work/leftovers" | while read -r leftover; do
  printf %s "$leftover" | jq -c .entry >"$work/entry"
  call /v1/catalog/deregister -X PUT -o /dev/null --data-binary "@$work/entry"
  printf %s "$leftover" | jq -r '"removed \(.text)"'
done
