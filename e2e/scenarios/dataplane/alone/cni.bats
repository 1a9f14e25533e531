#!/usr/bin/env bats
# Consul's CNI plugin on the node. It concerns every new pod, so nothing runs beside it.

load ../../../lib/helpers
load ../../../lib/dataplane

export POLICY=dataplane-cni

# shellcheck source=/dev/null
. "$SCRATCH/components.env"

setup_file() { controllers_are_ready; }

# plug_in: chains the plugin behind the node's own, until the scenario ends.
plug_in() {
    local root=$DEBIAN_DIR/root folder=$SCRATCH/cni
    local programs=$root/usr/lib/cni
    afterwards configure 'del(.plugins[1])'
    afterwards rm "$SCRATCH/bin/iptables" "$programs/consul-cni"
    cp "$IMAGES_DIR/consul-cni" "$programs/"
    cp "$SCRATCH/kubeconfig" "$folder/consul-cni-kubeconfig"
    # The plugin runs it in the pod's network, with the node's path.
    cat >"$SCRATCH/bin/iptables" <<END
#!/bin/sh
LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu XTABLES_LIBDIR=$root/usr/lib/x86_64-linux-gnu/xtables \\
    exec $root/usr/sbin/xtables-nft-multi iptables "\$@"
END
    chmod 755 "$SCRATCH/bin/iptables"
    configure ".plugins[1] = {type: \"consul-cni\", name: \"consul-cni\", cni_bin_dir: \"$programs\",
        cni_net_dir: \"$folder\", kubeconfig: \"consul-cni-kubeconfig\", log_level: \"info\", multus: false}"
}

# configure CHANGE: of the node's network, for new pods. In place: containerd does not
# look at a file that is moved there.
configure() {
    local changed
    changed=$(jq "$1" "$SCRATCH/cni/e2e.conflist")
    printf '%s\n' "$changed" >"$SCRATCH/cni/e2e.conflist"
}

@test "cni: the plugin redirects the traffic, also in a namespace of the strictest Pod Security Standard" {
    [ -f "$IMAGES_DIR/consul-cni" ] || skip "E2E_CONSUL_CNI does not name the plugin"
    plug_in
    client cni-client ""
    plain_client cni-outsider
    services cni-server cni-client
    kubectl label namespace "$NS" --overwrite pod-security.kubernetes.io/enforce=restricted
    restricted_server cni-server | k apply -f -
    ready cni-server cni-client cni-outsider
    equal "status" complete "$(field cni-server '{.metadata.annotations.consul\.hashicorp\.com/transparent-proxy-status}')"
    eventually 60 answers cni-client http://cni-server.virtual.consul/ "I am cni-server"
    fails get cni-outsider "http://$(pod_ip cni-server):8080/"
    deny cni-client cni-server
    eventually 60 fails get cni-client http://cni-server.virtual.consul/
}
