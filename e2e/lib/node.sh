#!/usr/bin/env bash
# The node: process 1 of its own process, mount and network namespaces (see
# cluster.sh). All processes and mounts in here end with this process.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=/dev/null
. "$SCRATCH/components.env"
# shellcheck source=/dev/null
. "$SCRATCH/cluster.env" # CGROUP

# The machine's /proc is still mounted, and shows this process's PID outside.
read -r -a self </proc/self/stat
echo "${self[0]} ${self[21]}" >"$SCRATCH/node.pid"

mount --make-rprivate /
mount --make-rshared /
mount -t proc proc /proc
mkdir -p "$SCRATCH"/{lib,log,logs,bin,pods,volumes,etcd,consul}
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$SCRATCH/lib" /var/lib
mount --bind "$SCRATCH/log" /var/log
mount -t tmpfs tmpfs "$SCRATCH/etcd"
hostname "$NODE_NAME"

ip link set lo up
# With a fixed MAC address: otherwise a bridge's changes with its ports, and pods would use the
# old one until their ARP entries expire.
ip link add e2e0 address 02:00:c6:12:00:01 type bridge
for address in "$NODE_IP" "$CONSUL_SERVER_IP" "$SECURE_CONSUL_SERVER_IP" "$REGISTRY_IP" "$WEBHOOK_IP"; do
    ip address add "$address/${NETWORK#*/}" dev e2e0
done
ip link set e2e0 up
ip route add default dev e2e0

# start NAME COMMAND...: starts a daemon, and writes its log and PID to files.
start() {
    local name=$1
    shift
    "$@" >"$SCRATCH/logs/$name.log" 2>&1 </dev/null &
    echo $! >"$SCRATCH/$name.pid"
}

# Only the required commands of Debian's unpacked packages are in the PATH.
for program in etcd containerd containerd-shim-runc-v2 runc ctr docker-registry; do
    ln -s "$(find "$DEBIAN_DIR"/root/usr/{bin,sbin} -type f -name "$program")" "$SCRATCH/bin/$program"
done
for program in "$KUBERNETES_DIR"/* "$CONSUL_DIR/consul"; do
    ln -s "$program" "$SCRATCH/bin/"
done
export PATH="$SCRATCH/bin:$PATH"

start etcd env ETCD_UNSUPPORTED_ARCH= etcd --data-dir "$SCRATCH/etcd/data" --unsafe-no-fsync \
    --listen-peer-urls http://127.0.0.1:2380 --log-level warn

pki=$SCRATCH/pki
start kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
    --advertise-address "$NODE_IP" --kubelet-preferred-address-types InternalIP \
    --service-cluster-ip-range 198.19.0.0/16 \
    --tls-cert-file "$pki/server.crt" --tls-private-key-file "$pki/server.key" --cert-dir "$pki" \
    --token-auth-file "$pki/tokens.csv" --authorization-mode RBAC --allow-privileged \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$pki/service-accounts.key" \
    --service-account-signing-key-file "$pki/service-accounts.key" \
    --watch-cache=true --profiling=false

mirror=$SCRATCH/registry/docker.io
mkdir -p "$mirror"
cat >"$mirror/hosts.toml" <<END
server = "http://$REGISTRY_IP:5000"
[host."http://$REGISTRY_IP:5000"]
  capabilities = ["pull", "resolve"]
END
cat >"$SCRATCH/registry.yaml" <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $IMAGES_DIR}, maintenance: {readonly: {enabled: true}}}
http: {addr: "$REGISTRY_IP:5000"}
END
start registry docker-registry serve "$SCRATCH/registry.yaml"

cat >"$SCRATCH/containerd.toml" <<END
version = 2
root = "$SCRATCH/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/e2e/pause:1"
  # CAP_SYS_RESOURCE, which is needed to lower a process's OOM score, may be missing.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$DEBIAN_DIR/root/usr/lib/cni"
    conf_dir = "$SCRATCH/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$SCRATCH/registry"
END
mkdir -p "$SCRATCH/cni"
cat >"$SCRATCH/cni/e2e.conflist" <<END
{"cniVersion": "1.0.0", "name": "e2e", "plugins": [{
  "type": "bridge", "bridge": "e2e0", "hairpinMode": true,
  "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}],
    "ranges": [[{"subnet": "$NETWORK", "rangeStart": "198.18.1.1", "gateway": "$NODE_IP"}]]}
}]}
END
start containerd env LD_LIBRARY_PATH="$DEBIAN_DIR/lib" containerd --config "$SCRATCH/containerd.toml"

cat >"$SCRATCH/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
enforceNodeAllocatable: []
clusterDNS: [$NODE_IP]
clusterDomain: cluster.local
resolvConf: ""
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%"}
failSwapOn: false
imageGCHighThresholdPercent: 100
kubeAPIQPS: 200
kubeAPIBurst: 400
maxPods: 250
oomScoreAdj: 0
podLogsDir: $SCRATCH/pods
registryPullQPS: 0
serializeImagePulls: false
volumePluginDir: $SCRATCH/volumes
END

"$E2E_DIR/lib/consul.sh" start server
"$E2E_DIR/lib/consul.sh" start client

export KUBECONFIG=$SCRATCH/kubeconfig
until_true 60 kubectl get --raw /readyz || { echo "no API server" >"$SCRATCH/failed"; exit 1; }
start kube-controller-manager kube-controller-manager --kubeconfig "$KUBECONFIG" --leader-elect=false \
    --service-account-private-key-file "$pki/service-accounts.key" --root-ca-file "$pki/ca.crt"
start kube-scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --leader-elect=false
start kubelet kubelet --config "$SCRATCH/kubelet.yaml" --kubeconfig "$KUBECONFIG" \
    --hostname-override "$NODE_NAME" --node-ip "$NODE_IP" --root-dir "$SCRATCH/kubelet"

touch "$SCRATCH/started"
# As process 1, it inherits all orphans, which bash reaps while it waits.
while :; do
    sleep 3600 &
    wait $!
done
