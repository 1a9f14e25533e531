#!/usr/bin/env bash
# images.sh FOLDER: builds the images of the documentation's YAML and of the
# policy's settings, and stores them as the storage of a docker-registry, which
# the cluster serves as a mirror of Docker Hub.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

storage=$1/docker/registry/v2
root=$DEBIAN_DIR/root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# blob FILE: stores the file under its digest, and prints the digest.
blob() {
    local sum folder
    sum=$(sha256sum "$1" | cut -d' ' -f1)
    folder=$storage/blobs/sha256/${sum:0:2}/$sum
    mkdir -p "$folder"
    cp "$1" "$folder/data"
    echo "sha256:$sum"
}

# link PATH DIGEST: links a blob from a repository of the registry.
link() {
    mkdir -p "$1"
    printf '%s' "$2" >"$1/link"
}

# image NAME:TAG ROOTFS [CONFIG]: one layer, and the container's defaults as JSON.
image() {
    local name=${1%:*} tag=${1##*:} rootfs=$2 config=${3:-'{}'}
    case $name in */*) ;; *) name=library/$name ;; esac
    local repository=$storage/repositories/$name layer_digest config_digest manifest_digest
    # Files are sorted and without times, so that the digests are reproducible.
    tar -C "$rootfs" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .
    layer_digest=$(blob "$work/layer.tar")
    jq -nc --argjson config "$config" --arg diff "$layer_digest" '{
        architecture: "amd64", os: "linux", config: $config,
        rootfs: {type: "layers", diff_ids: [$diff]}, history: [{created_by: "e2e/images.sh"}]
    }' >"$work/config.json"
    config_digest=$(blob "$work/config.json")
    jq -nc --arg layer "$layer_digest" --arg config "$config_digest" \
        --argjson layer_size "$(stat -c %s "$work/layer.tar")" \
        --argjson config_size "$(stat -c %s "$work/config.json")" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: {mediaType: "application/vnd.oci.image.config.v1+json", size: $config_size, digest: $config},
        layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar", size: $layer_size, digest: $layer}]
    }' >"$work/manifest.json"
    manifest_digest=$(blob "$work/manifest.json")
    local digest
    for digest in "$layer_digest" "$config_digest"; do
        link "$repository/_layers/sha256/${digest#sha256:}" "$digest"
    done
    link "$repository/_manifests/revisions/sha256/${manifest_digest#sha256:}" "$manifest_digest"
    link "$repository/_manifests/tags/$tag/index/sha256/${manifest_digest#sha256:}" "$manifest_digest"
    link "$repository/_manifests/tags/$tag/current" "$manifest_digest"
    echo "$name:$tag ${manifest_digest:0:19} $(stat -c %s "$work/layer.tar") bytes"
}

# rootfs NAME: an empty root with the folders that every image has.
rootfs() {
    mkdir -p "$work/$1"/{bin,etc,proc,sys,dev,run,root,usr/bin,usr/lib,var}
    mkdir -m 1777 "$work/$1/tmp"
    ln -s usr/lib "$work/$1/lib"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$work/$1/etc/passwd"
    echo 'root:x:0:' >"$work/$1/etc/group"
    echo "$work/$1"
}

# with_busybox ROOTFS [APPLET...]: adds busybox with these applets, or all of them.
with_busybox() {
    local target=$1 applet applets
    shift
    applets=${*:-$("$root/bin/busybox" --list)}
    cp "$root/bin/busybox" "$target/bin/busybox"
    for applet in $applets; do
        [ "$applet" = busybox ] || ln -sf busybox "$target/bin/$applet"
    done
}

# with_program ROOTFS FILE...: adds programs, and the libraries from Debian that they load.
with_program() {
    local target=$1 program library loader folders
    shift
    loader=$(find "$root/lib" "$root/usr/lib" -name 'ld-linux-*.so.*' -type f | head -n 1)
    folders=$(find "$root/lib" "$root/usr/lib" -maxdepth 1 -name '*-linux-gnu' | paste -sd:)
    mkdir -p "$target/lib64"
    cp "$loader" "$target/lib64/"
    for program; do
        rm -f "$target/bin/${program##*/}"
        cp -L "$program" "$target/bin/"
        "$loader" --library-path "$folders" --list "$program" |
            sed -n "s|.* => $root\(/[^ ]*\) .*|\1|p" |
            while read -r library; do
                mkdir -p "$target${library%/*}"
                cp -L "$root$library" "$target$library"
            done
    done
}

# with_certificates ROOTFS: adds the public CAs, where curl and wget expect them.
with_certificates() {
    mkdir -p "$1/etc/ssl/certs"
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
}

pause=$(rootfs pause)
with_busybox "$pause" sleep
image e2e/pause:1 "$pause" '{"Entrypoint": ["/bin/sleep", "2147483647"]}'

echo_server=$(rootfs echo-server)
cp "$CONSUL_DIR/http-echo" "$echo_server/"
image hashicorp/http-echo:latest "$echo_server" '{"Entrypoint": ["/http-echo"]}'

client=$(rootfs client)
with_busybox "$client"
with_program "$client" "$root/usr/bin/curl"
image tutum/curl:latest "$client" '{"Cmd": ["/bin/sh"]}'

# It answers gRPC's health protocol.
etcd=$(rootfs etcd)
with_program "$etcd" "$root/usr/bin/etcd"
image e2e/etcd:1 "$etcd" '{"Entrypoint": ["/bin/etcd"]}'

busybox=$(rootfs busybox)
with_busybox "$busybox"
image busybox:latest "$busybox" '{"Cmd": ["sh"]}'

# Stands in for nginx: serves its page and stops on SIGTERM.
nginx=$(rootfs nginx)
with_busybox "$nginx"
mkdir -p "$nginx/usr/share/nginx/html"
echo 'Welcome to nginx!' >"$nginx/usr/share/nginx/html/index.html"
printf '#!/bin/sh\ntrap exit TERM QUIT\nhttpd -f -p 80 -h /usr/share/nginx/html &\nwait\n' >"$nginx/bin/nginx"
chmod 755 "$nginx/bin/nginx"
image nginx:latest "$nginx" '{"Cmd": ["nginx", "-g", "daemon off;"]}'

# Like the official image, which is Alpine's: busybox and curl.
consul=$(rootfs consul)
with_busybox "$consul"
with_program "$consul" "$root/usr/bin/curl"
with_certificates "$consul"
cp "$CONSUL_DIR/consul" "$consul/bin/"
image "$IMAGE_CONSUL" "$consul" '{"Entrypoint": ["/bin/consul"]}'

# Like the official UBI image: bash as sh, GNU tools and wget, no curl.
ubi=$(rootfs ubi)
with_busybox "$ubi"
rm "$ubi/bin/sh"
with_program "$ubi" "$root/usr/bin/wget" "$root/bin/bash"
ln -s bash "$ubi/bin/sh"
with_certificates "$ubi"
cp "$CONSUL_DIR/consul" "$ubi/bin/"
image "$IMAGE_CONSUL_UBI" "$ubi" '{"Entrypoint": ["/bin/consul"]}'

# Like the official image, which is Ubuntu's: glibc and a shell.
envoy=$(rootfs envoy)
with_busybox "$envoy"
with_program "$envoy" "$root/bin/bash" "$ENVOY_DIR/envoy"
image "$IMAGE_ENVOY" "$envoy" '{"Entrypoint": ["/bin/envoy"], "Cmd": ["--version"]}'

if with_dataplane; then
    # shellcheck source=dataplane/images.sh
    . "$E2E_DIR/dataplane/images.sh"
fi
