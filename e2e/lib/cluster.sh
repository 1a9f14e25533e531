# Starts and stops the cluster. Sourced by session.sh and down.sh.
# shellcheck shell=bash

# A run's cgroups are named after its scratch folder.
CGROUP=${SCRATCH##*/}
CGROUP=${CGROUP//[^A-Za-z0-9-]/-}

# node_process: the PID of the node's process 1, if it still runs.
node_process() {
    local pid start stat
    read -r pid start 2>/dev/null <"$SCRATCH/node.pid" || return 1
    read -r -a stat 2>/dev/null <"/proc/$pid/stat" || return 1
    [ "${stat[21]}" = "$start" ] || return 1
    echo "$pid"
}

# inside COMMAND...: runs the command in the node's namespaces; it is killed with the node.
inside() {
    nsenter --target "$(node_process)" --mount --net --pid --ipc --uts --wdns="$PWD" -- \
        env PATH="$SCRATCH/bin:$PATH" "$@"
}

cgroup_folders() {
    local root
    for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [ ! -d "$root/$CGROUP" ] || echo "$root/$CGROUP"
    done
}

# make_cgroups: creates the kubelet's root cgroup under each controller.
make_cgroups() {
    local root
    if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
        mkdir "/sys/fs/cgroup/$CGROUP"
        sed 's/[^ ]*/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
        return
    fi
    for root in /sys/fs/cgroup/*; do
        [ ! -e "$root/cgroup.procs" ] || mkdir "$root/$CGROUP"
    done
    # A new cpuset is empty, and no process can run in it.
    local file
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e "/sys/fs/cgroup/cpuset/$file" ] ||
            cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$CGROUP/$file"
    done
}

remove_cgroups() {
    local folder
    for folder in $(cgroup_folders); do
        find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    [ -z "$(cgroup_folders)" ]
}

# make_keys: the CA, one certificate for all servers, the key of the service accounts'
# tokens, and the user.
make_keys() {
    local pki=$SCRATCH/pki token
    mkdir -p "$pki"
    {
        openssl ecparam -name prime256v1 -genkey -noout -out "$pki/ca.key"
        openssl req -x509 -new -key "$pki/ca.key" -subj /CN=e2e -days 2 -out "$pki/ca.crt"
        openssl ecparam -name prime256v1 -genkey -noout -out "$pki/server.key"
        openssl req -new -key "$pki/server.key" -subj /CN=e2e-server -out "$pki/server.csr"
        openssl x509 -req -in "$pki/server.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial 2 -days 2 \
            -out "$pki/server.crt" -extfile <(echo "subjectAltName=IP:127.0.0.1,IP:$NODE_IP,IP:$WEBHOOK_IP,DNS:localhost,DNS:kubernetes.default.svc")
        # Consul's has only a name, which tests the policy's serverName.
        openssl x509 -req -in "$pki/server.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial 3 -days 2 \
            -out "$pki/consul.crt" -extfile <(echo "subjectAltName=DNS:server.dc1.consul,DNS:client.dc1.consul")
        openssl genrsa -out "$pki/service-accounts.key" 2048
    } 2>"$SCRATCH/openssl.log"
    token=$(openssl rand -hex 16)
    echo "$token,admin,admin,system:masters" >"$pki/tokens.csv"
    kubeconfig "https://$NODE_IP:6443" "$token" >"$SCRATCH/kubeconfig"
}

kubeconfig() {
    cat <<END
apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: "$1", certificate-authority: $SCRATCH/pki/ca.crt}}]
users: [{name: admin, user: {token: "$2"}}]
contexts: [{name: e2e, context: {cluster: e2e, user: admin}}]
current-context: e2e
END
}

# what_is_there: the state of the machine that a run must restore.
what_is_there() {
    echo "# mounts"
    cut -d' ' -f2 /proc/self/mounts | sort
    echo "# links and addresses"
    ip -o link show | sed 's/^[0-9]*: //; s/ .*//' | sort
    ip -o address show | awk '{print $2, $4}' | sort
    ip route show
    echo "# named network namespaces"
    ip netns list
    echo "# packet filter"
    if command -v nft >/dev/null; then nft list ruleset; fi
    cat /proc/net/ip_tables_names 2>/dev/null || true
    echo "# control groups of this run"
    cgroup_folders
    echo "# processes of this run"
    run_processes
}

# run_processes: processes that use the scratch folder or run in the node's namespaces.
run_processes() {
    local namespace process
    namespace=$(cat "$SCRATCH.namespace" 2>/dev/null || echo none)
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/ns/pid" 2>/dev/null)" = "$namespace" ]; then
            echo "${process#/proc/} $(tr '\0' ' ' 2>/dev/null <"$process/cmdline")"
        fi
    done
}

start_cluster() {
    mkdir -p "$SCRATCH"
    what_is_there >"$SCRATCH.before"
    make_cgroups
    make_keys
    echo "CGROUP=$CGROUP" >"$SCRATCH/cluster.env"
    cp "$CACHE/components.env" "$SCRATCH/components.env"
    say "starting the cluster in $SCRATCH"
    local started=$SECONDS
    # In a separate session: the terminal's Ctrl-C must only reach run.sh, which cleans up.
    E2E_SCRATCH=$SCRATCH setsid unshare --pid --fork --mount --net --uts --ipc \
        "$E2E_DIR/lib/node.sh" >"$SCRATCH/node.log" 2>&1 </dev/null 9>&- &
    until_true 10 node_process || { cat "$SCRATCH/node.log" >&2; die "the node did not start"; }
    readlink "/proc/$(node_process)/ns/pid" >"$SCRATCH.namespace"
    until_true 90 node_answers || { node_logs; die "the cluster did not start"; }
    export KUBECONFIG=$SCRATCH/kubeconfig
    inside kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=60s >/dev/null ||
        { node_logs; die "the node did not become ready"; }
    say "node ready after $((SECONDS - started)) s"
}

node_answers() {
    node_process >/dev/null || return 0 # nothing to wait for; what follows fails
    [ -e "$SCRATCH/started" ] && KUBECONFIG=$SCRATCH/kubeconfig inside kubectl get "node/$NODE_NAME"
}

node_logs() {
    cat "$SCRATCH/node.log" >&2
    tail -n 15 "$SCRATCH"/logs/*.log >&2
}

# stop_cluster: kills process 1. The kernel then kills all processes in the namespaces, and
# removes their mounts, links and rules.
stop_cluster() {
    local pid
    if pid=$(node_process); then
        say "taking the cluster down"
        kill -KILL "$pid"
        until_true 20 test ! -e "/proc/$pid" || say "process $pid does not end"
    fi
    until_true 20 no_run_process || say "processes are left"
    until_true 20 remove_cgroups || say "control groups are left: $(cgroup_folders | tr '\n' ' ')"
    rm -rf --one-file-system "$SCRATCH"
}

no_run_process() { [ -z "$(run_processes)" ]; }

# nothing_left: the machine is as it was before the cluster started.
nothing_left() {
    [ -f "$SCRATCH.before" ] || return 0
    if [ -e "$SCRATCH" ] || ! until_true 10 as_before; then
        say "left behind:"
        what_is_there | diff "$SCRATCH.before" - >&2 || true
        ls -d "$SCRATCH" 2>/dev/null >&2 || true
        return 1
    fi
    rm -f "$SCRATCH.before" "$SCRATCH.namespace"
}

as_before() { what_is_there | diff -q "$SCRATCH.before" -; }
