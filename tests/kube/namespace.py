"""One case's part of the cluster, and what cases do in it."""
import contextlib
import itertools
import subprocess

from checks import Skipped, require
from front import SHAPE, Front
from kube_api import Refused, path_of
from machine import answers, wait_until
from programs import Gateway, Picker
from workers import LABEL, PORT, worker_pod

POOL = "pool"
APP = {"app": "vllm"}
_numbers = itertools.count(1)
_addresses = itertools.cycle(range(130, 254))  # below: KWOK's own choice


class Namespace:
    """One case's part of the cluster."""

    def __init__(self, world, name, stack):
        self.world, self.name, self.stack = world, name, stack
        self.api, self.plane = world.api, world.plane

    def clear(self):
        """As far as it goes: a case may have left the API server down."""
        self.kubectl("delete", "deployment,pod", "--all", "--force", "--grace-period=0", check=False)
        with contextlib.suppress(OSError, Refused):
            self.api.delete("Namespace", None, self.name)

    def wait_for_service_account(self):
        """Until then the API server takes no pods, in a cluster that gives them service accounts."""
        self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")

    def kubectl(self, *arguments, stdin=None, check=True):
        return self.plane.kubectl("-n", self.name, *arguments, stdin=stdin, check=check)

    def folder(self):
        """For files of this case."""
        path = self.world.folder / self.name
        path.mkdir(exist_ok=True)
        return path

    def kvasir(self, *arguments):
        """The standard output of our program."""
        done = subprocess.run([self.world.kvasir, *map(str, arguments)], capture_output=True, text=True, check=False)
        require(done.returncode == 0, f"kvasir {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def create(self, kind, name, **fields):
        return self.api.create(kind, self.name, name, **fields)

    def delete(self, kind, name, at_once=False):
        self.api.delete(kind, self.name, name, at_once)

    def pool(self, name=POOL, ports=(PORT,), selector=None, picker="picker"):
        return self.create("InferencePool", name, spec={
            "selector": {"matchLabels": selector or APP}, "targetPorts": [{"number": port} for port in ports],
            "endpointPickerRef": {"name": picker, "port": {"number": 9002}}})

    def pod(self, name, labels=None, flags="", address=None, process=True, finalizers=()):
        """A worker's pod, at an address that no other pod of this run has. Without `process` nothing runs in it."""
        pod = worker_pod({**APP, **(labels or {})}, address or self.address(), flags)
        if not process:
            del pod["labels"][LABEL]
        if finalizers:
            pod["annotations"]["kvasir.dev/stays"] = "until its finalizers go"
        return self.create("Pod", name, finalizers=finalizers, **pod)

    def worker_process(self, address=None, port=PORT):
        """The address of a worker that no pod stands for yet."""
        address = address or self.address()
        child = self.world.workers.start(address, port, "", f"{self.name}-{address}-{port}")
        self.stack.callback(child.kill)
        wait_until(lambda: answers(address, port), f"no worker at {address}: {child.tail()}")
        return address

    def address(self):
        return f"{self.world.net}.{next(_addresses)}"

    def address_of(self, pod):
        return wait_until(lambda: self.api.get("Pod", self.name, pod["metadata"]["name"])["status"].get("podIP"), "no address")

    def wait_for_worker(self, name):
        address = self.address_of({"metadata": {"name": name}})
        wait_until(lambda: answers(address, PORT), f"no worker at {address}")

    def set_ready(self, name, ready):
        conditions = self.api.get("Pod", self.name, name)["status"]["conditions"]
        for condition in conditions:
            if condition["type"] in ("Ready", "ContainersReady"):
                condition["status"] = "True" if ready else "False"
        self.api.merge("Pod", self.name, name, {"status": {"conditions": conditions}}, "status")

    def set_phase(self, name, phase, ready=False):
        self.set_ready(name, ready)
        self.api.merge("Pod", self.name, name, {"status": {"phase": phase}}, "status")

    def change_pool(self, spec, name=POOL):
        self.api.merge("InferencePool", self.name, name, {"spec": spec})

    def envoy(self, *pickers, ready=None):
        """A real Envoy that asks these pickers, of which `ready` are (default: all)."""
        return self.envoy_before([(picker.host, picker.port) for picker in pickers], ready)

    def envoy_before(self, addresses, ready=None, shape=SHAPE):
        if not self.world.envoy.exists():
            raise Skipped(f"there is no Envoy at {self.world.envoy}: make test-envoy installs it")
        front = Front(self.world.envoy, self.world.folder / f"envoy-{next(_numbers)}", addresses, ready, shape)
        self.stack.callback(front.stop)
        return front

    def deployment(self, name, replicas, labels=None):
        labels = {**APP, "deployment": name, **(labels or {})}
        pod = worker_pod(labels)
        template = {"metadata": {"labels": pod["labels"], "annotations": pod["annotations"]},
                    "spec": {key: value for key, value in pod["spec"].items()}}
        return self.create("Deployment", name, spec={
            "replicas": replicas, "selector": {"matchLabels": {"deployment": name}}, "template": template})

    def objective(self, name, priority, pool=POOL):
        return self.create("InferenceObjective", name, spec={"priority": priority, "poolRef": {"name": pool}})

    def rewrite(self, name, rules, pool=POOL):
        return self.create("InferenceModelRewrite", name, spec={"poolRef": {"name": pool}, "rules": rules})

    def picker(self, *flags, pool=POOL, kubeconfig=None, name="picker", host="127.0.0.1", port=None):
        """`kvasir epp` for the pool, started; wait_for_endpoints() says when it has found them."""
        picker = Picker(self.world, self.name, kubeconfig or self.plane.kubeconfig, pool, name, flags, host, port=port)
        self.stack.callback(picker.stop)
        return picker

    def gateway(self, *flags, pool=POOL):
        gateway = Gateway(self.world, self.name, self.plane.kubeconfig, pool, "gateway", flags, "127.0.0.1")
        self.stack.callback(gateway.stop)
        return gateway

    def slice_of(self, service, addresses, port):
        """The EndpointSlice of a Service without a selector; again: with other addresses."""
        endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
        body = {"addressType": "IPv4", "ports": [{"name": "grpc", "port": port}], "endpoints": endpoints}
        if any(known["metadata"]["name"] == service for known in self.api.list("EndpointSlice", self.name)):
            self.api.merge("EndpointSlice", self.name, service, body)
        else:
            self.create("EndpointSlice", service, labels={"kubernetes.io/service-name": service}, **body)

    def identity(self, name, rules):
        """The kubeconfig of a service account that may do what these rules say, in this namespace."""
        self.create("ServiceAccount", name)
        self.create("Role", name, rules=rules)
        self.create("RoleBinding", name, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                    subjects=[{"kind": "ServiceAccount", "name": name, "namespace": self.name}])
        return self.token_kubeconfig(name)

    def token_kubeconfig(self, service_account):
        token = self.kubectl("create", "token", service_account).strip()
        return self.plane.certificates.token_kubeconfig(f"{self.name}-{service_account}", self.plane.url, token, self.name)

    def watch(self, kind):
        return self.api.watch(path_of(kind, self.name))

    def events(self, reason):
        return [event for event in self.api.list("Event", self.name) if event.get("reason") == reason]
