"""Nodes and pods without a kubelet (KWOK): the pods' containers are whatever we start at their addresses."""
import pathlib

import binaries
from machine import Child, free_port

NODE = "fake-1"
CAPACITY = {"cpu": "1000", "memory": "8Ti", "pods": "10000", "nvidia.com/gpu": "1000"}


def start_kwok(plane, net):
    """Pods get addresses of `net`.64/26."""
    port = free_port()
    return Child(
        [binaries.program("kwok"), "--kubeconfig", plane.kubeconfig, "--config", pathlib.Path(__file__).with_name("kwok.yaml"),
         "--manage-all-nodes=true", "--cidr", f"{net}.64/26", "--node-ip", plane.address, "--node-port", port,
         "--server-address", f"127.0.0.1:{port}", "--node-lease-duration-seconds", 40],
        plane.folder / "kwok.log")


def add_node(api, net, name=NODE, labels=None):
    api.create("Node", None, name, labels={"kubernetes.io/hostname": name, **(labels or {})}, spec={"podCIDR": f"{net}.64/26"})
    ready = {"type": "Ready", "status": "True", "reason": "Fake", "message": "there is no kubelet"}
    api.merge("Node", None, name, {"status": {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [ready]}}, "status")
    api.merge("Node", None, name, {"spec": {"taints": None}})  # not-ready: every new node has it, for five seconds
