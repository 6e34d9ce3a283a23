"""What every case starts from: a control plane with nodes that have no kubelet, or with one that has."""
import contextlib
import itertools
import pathlib
import subprocess

import binaries
import kwok
from control_plane import ControlPlane
from host_services import start_metrics_server
from machine import ROOT, local_net
from namespace import Namespace
from node import Node
from node_network import MACHINE, PODS, node_network
from workers import Workers

OLDER_KINDS = pathlib.Path(__file__).with_name("crds")
_numbers = itertools.count(1)


class World:
    """A cluster of processes. `options`: of run.py."""

    def __init__(self, folder, options, stack):
        self.folder, self.kvasir, self.envoy = folder, options.kvasir, options.envoy
        self.net = stack.enter_context(local_net())
        self.plane = ControlPlane(folder, f"{self.net}.1", stack)
        self.api = self.plane.api
        for kinds in (options.crds, OLDER_KINDS):
            define_kinds(self.plane, kinds)
        stack.callback(kwok.start_kwok(self.plane, self.net).stop)
        kwok.add_node(self.api, self.net)
        self.workers = Workers(self.api, self.kvasir, folder)
        stack.callback(self.workers.stop)

    @contextlib.contextmanager
    def namespace(self):
        name = f"case-{next(_numbers)}"
        self.api.create("Namespace", None, name)
        with contextlib.ExitStack() as stack:
            namespace = Namespace(self, name, stack)
            stack.callback(namespace.clear)
            yield namespace


class NodeWorld(World):
    """A cluster with a real node, and as empty as a new one."""

    def __init__(self, folder, options, stack):
        self.folder, self.kvasir, self.envoy = folder, options.kvasir, options.envoy
        self.llm_d_charts = options.llm_d_charts
        network = stack.enter_context(node_network(folder))
        self.plane = ControlPlane(folder, MACHINE, stack, pod_net=PODS, service_accounts=True)
        self.api = self.plane.api
        self.node = Node(self.plane, network, stack)
        if not binaries.missing(["metrics-server"]):
            start_metrics_server(self.plane, folder, stack)
        for archive in [make_image(self.kvasir, folder / "kvasir.tar"), *options.images]:
            self.node.import_image(archive)


def make_image(kvasir, archive, *flags):
    """What `make image` makes, of the program that is tested."""
    done = subprocess.run([ROOT / "make/image.py", "--binary", kvasir, "--output", archive, *flags], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"make/image.py: {done.stderr.strip()}")
    return archive


def define_kinds(plane, folder):
    plane.kubectl("apply", "--server-side", "-k" if (folder / "kustomization.yaml").exists() else "-f", folder)
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
