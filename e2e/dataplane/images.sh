# The images of dataplane mode: Docker Hub's, or made from the given programs. The
# CNI plugin, if there is one, is left beside the storage. Sourced by images.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # `root` and `work` are of images.sh

# pulled IMAGE: as Docker Hub has it. Its files stay in the folder that it sets, `pulled`.
pulled() {
    local container
    docker pull --quiet "$1"
    container=$(docker create "$1" none)
    pulled=$(mktemp -d --tmpdir="$work")
    docker export "$container" | tar -C "$pulled" -x
    docker rm "$container" >/dev/null
    image "$1" "$pulled" "$(docker image inspect --format '{{json .Config}}' "$1")"
}

# with_user ROOTFS: the releases' images run as this user.
with_user() {
    echo "consul:x:100:1000::/:/bin/sh" >>"$1/etc/passwd"
    echo "consul:x:1000:" >>"$1/etc/group"
}

# made_consul_k8s: as the release's image: Alpine's, so busybox, with iptables.
made_consul_k8s() {
    local rootfs name libraries=usr/lib/x86_64-linux-gnu
    rootfs=$(rootfs consul-k8s)
    with_busybox "$rootfs"
    with_user "$rootfs"
    with_program "$rootfs" "$root/usr/sbin/xtables-nft-multi"
    for name in iptables ip6tables iptables-save ip6tables-save iptables-restore ip6tables-restore; do
        ln -sf xtables-nft-multi "$rootfs/bin/$name"
    done
    # The modules that iptables loads by name.
    mkdir -p "$rootfs/$libraries"
    cp -r "$root/$libraries/xtables" "$rootfs/$libraries/"
    with_certificates "$rootfs"
    cp "$E2E_CONSUL_K8S" "$rootfs/bin/consul-k8s-control-plane"
    image "$IMAGE_CONSUL_K8S" "$rootfs" '{"User": "100", "Env": ["PATH=/bin"], "Cmd": ["/bin/consul-k8s-control-plane"]}'
}

# made_consul_dataplane: as the release's image: without a shell.
made_consul_dataplane() {
    local rootfs folder=usr/local/bin
    rootfs=$(rootfs consul-dataplane)
    with_user "$rootfs"
    with_program "$rootfs" "$root/usr/bin/dumb-init" "$ENVOY_DIR/envoy"
    mkdir -p "$rootfs/$folder"
    mv "$rootfs"/bin/* "$rootfs/$folder/"
    with_certificates "$rootfs"
    cp "$E2E_CONSUL_DATAPLANE" "$rootfs/$folder/consul-dataplane"
    image "$IMAGE_CONSUL_DATAPLANE" "$rootfs" \
        '{"User": "100", "Env": ["PATH=/usr/local/bin"], "Entrypoint": ["/usr/local/bin/dumb-init", "/usr/local/bin/consul-dataplane"]}'
}

cni=${E2E_CONSUL_CNI:-}
if [ -n "${E2E_DOCKER_HUB:-}" ]; then
    pulled "$IMAGE_CONSUL_DATAPLANE"
    pulled "$IMAGE_CONSUL_K8S"
    cni=$pulled/bin/consul-cni
else
    made_consul_k8s
    made_consul_dataplane
fi
[ -z "$cni" ] || install "$cni" "$1/consul-cni"
