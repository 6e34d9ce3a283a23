#!/usr/bin/env bash
# Process 1 of the node, in namespaces of its own: everything in them ends with it, and its mounts are nobody else's.
#
#   node_init.sh FOLDER PROGRAMS      FOLDER has containerd.toml, kubelet.yaml, proxy.yaml, ...; PROGRAMS kubelet, kube-proxy
set -u
folder=$1 programs=$2

mount --make-rprivate / && mount --make-rshared /  # containers need shared mounts, the machine must not see them
mount -t proc proc /proc
for path in /run /var/lib/cni /var/log/containers /var/log/pods; do
  mkdir -p "$path" && mount -t tmpfs tmpfs "$path"
done
# kubelet would set these for the whole machine. It finds its own values in these files and writes nothing.
while read -r name value; do
  echo "$value" > "$folder/${name//\//_}"
  mount --bind "$folder/${name//\//_}" "/proc/sys/$name"
done <<'END'
vm/overcommit_memory 1
kernel/panic 10
kernel/panic_on_oops 1
END
hostname node-1
sysctl -qw net.ipv4.ip_forward=1  # of the node's network namespace

containerd -c "$folder/containerd.toml" > "$folder/containerd.log" 2>&1 &
until ctr -a "$folder/containerd.sock" version > /dev/null 2>&1; do sleep 0.05; done
ctr -a "$folder/containerd.sock" -n k8s.io images import "$folder/pause.tar" > "$folder/import.log" 2>&1
touch "$folder/ready"
"$programs/kubelet" --config "$folder/kubelet.yaml" --kubeconfig "$folder/kubelet.kubeconfig" --root-dir "$folder/kubelet" \
  --cert-dir "$folder/kubelet/pki" --hostname-override node-1 --node-ip 10.240.0.2 > "$folder/kubelet.log" 2>&1 &
"$programs/kube-proxy" --config "$folder/proxy.yaml" > "$folder/kube-proxy.log" 2>&1 &
trap 'exit 0' TERM INT
while :; do sleep 1000 & wait $!; done
