"""A real node on this machine: containerd, kubelet and kube-proxy in namespaces of their own, and cluster DNS.

What such a machine may forbid, and what is done about it: tests/kube/README.md."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import binaries
import image
from host_services import DNS_SERVICE, start_dns
from machine import Child, wait_until
from node_network import NODE, PODS

NAME = "node-1"
GPUS = {"nvidia.com/gpu": "16"}  # pods may ask for them; there are none
DEBIAN_PACKAGES = {  # program: its package
    "containerd": "containerd", "runc": "runc", "iptables": "iptables", "nft": "nftables", "conntrack": "conntrack",
    "ethtool": "ethtool", "socat": "socat", "modprobe": "kmod", "/usr/lib/cni/bridge": "containernetworking-plugins",
    "gcc": "gcc",
}
# The node mounts something over these, and therefore makes them where they are missing.
SHARED_FOLDERS = [pathlib.Path(path) for path in ("/var/lib/cni", "/var/log/containers", "/var/log/pods")]
CGROUPS_SECONDS = 5
HERE = pathlib.Path(__file__).resolve().parent


def missing_packages():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return sorted({package for program, package in DEBIAN_PACKAGES.items() if not shutil.which(program, path=path)})


def containerd_toml(folder):
    return f"""version = 2
root = "{folder}/containerd"
state = "{folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image.PAUSE}"
  # Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj, and every container would fail.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni(folder):
    ranges = [[{"subnet": PODS.replace("/16", "/24")}]]
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
              "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}], "dataDir": f"{folder}/ipam"}}
    return {"cniVersion": "0.4.0", "name": "pods",
            "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]}


def kubelet_configuration(folder, certificates):
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                           "x509": {"clientCAFile": str(certificates.certificate("ca"))}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificates.certificate("kubelet")), "tlsPrivateKeyFile": str(certificates.key("kubelet")),
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock", "cgroupDriver": "cgroupfs",
        "failSwapOn": False, "failCgroupV1": False,
        "clusterDNS": [DNS_SERVICE], "clusterDomain": "cluster.local", "resolvConf": f"{folder}/resolv.conf",
        "podLogsDir": f"{folder}/pod-logs", "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%",
                         "nodefs.inodesFree": "1%"},
        "healthzPort": 0, "readOnlyPort": 0, "maxPods": 60,
        "nodeStatusUpdateFrequency": "10s", "syncFrequency": "10s"}


def proxy_configuration(folder):
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables",
        "clusterCIDR": PODS, "hostnameOverride": NAME, "bindAddress": "0.0.0.0",
        "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": f"{folder}/kube-proxy.kubeconfig"},
        # These sysctls belong to the machine's own namespace.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}}


class Node:
    """Ready when the constructor returns, on a ControlPlane at node_network.MACHINE. `network`: of node_network()."""

    def __init__(self, plane, network, stack):
        self.plane, self.folder = plane, plane.folder / "node"
        (self.folder / "cni").mkdir(parents=True)
        self._write_configuration()
        image.make_pause(self.folder / "pause.tar")
        stack.callback(remove_folders, [path for path in SHARED_FOLDERS if not path.exists()])
        stack.callback(remove_cgroups)
        # nsenter, not `ip netns exec`, which hides the mounts of cgroups.
        self.child = Child(
            ["nsenter", f"--net={network}", "unshare", "--fork", "--pid", "--mount", "--uts", "--ipc",
             "--kill-child", HERE / "node_init.sh", self.folder, binaries.folder() / "bin"], self.folder / "init.log")
        stack.callback(self.child.kill)
        start_dns(plane, self.folder, stack)
        plane.kubectl("wait", "--for=create", f"node/{NAME}", "--timeout=60s")
        plane.kubectl("wait", "--for=condition=Ready", f"node/{NAME}", "--timeout=60s")
        plane.api.merge("Node", None, NAME, {"status": {"capacity": GPUS, "allocatable": GPUS}}, "status")

    def _write_configuration(self):
        certificates = self.plane.certificates
        certificates.add("kubelet", f"/O=system:nodes/CN=system:node:{NAME}", names=[NAME], addresses=[NODE, "127.0.0.1"])
        for name in ("kubelet", "kube-proxy"):
            shutil.copy(certificates.kubeconfig(name, self.plane.url), self.folder)
        texts = {"containerd.toml": containerd_toml(self.folder), "cni/10-pods.conflist": cni(self.folder),
                 "resolv.conf": f"nameserver {DNS_SERVICE}\n",
                 "kubelet.yaml": kubelet_configuration(self.folder, certificates),
                 "proxy.yaml": proxy_configuration(self.folder)}
        for name, text in texts.items():
            (self.folder / name).write_text(text if isinstance(text, str) else json.dumps(text, indent=1))

    def import_image(self, archive):
        """An archive as `docker save` writes it, for pods that name its image."""
        wait_until(lambda: (self.folder / "ready").exists(), lambda: f"containerd does not answer: {self.child.tail()}")
        done = subprocess.run(["ctr", "-a", f"{self.folder}/containerd.sock", "-n", "k8s.io", "images", "import",
                               "--all-platforms", str(archive)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ctr images import {archive}: {done.stderr.strip()}")


def remove_folders(folders):
    for folder in folders:
        if folder.exists():
            folder.rmdir()


def remove_cgroups():
    """Those of pods, in every hierarchy: they stay when their processes end, which takes a moment."""
    wait_until(_no_cgroups_are_left, "cgroups of pods stay in /sys/fs/cgroup", CGROUPS_SECONDS)


def _no_cgroups_are_left():
    tops = [top / name for top in pathlib.Path("/sys/fs/cgroup").iterdir() for name in ("kubepods", "k8s.io")]
    for top in tops:
        for folder in sorted((folder for folder in [*top.rglob("*"), top] if folder.is_dir()), key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):  # a process of it is still ending
                folder.rmdir()
    return not any(top.exists() for top in tops)
