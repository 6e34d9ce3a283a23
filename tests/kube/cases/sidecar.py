"""`kvasir sidecar`: what its allowlist becomes with a real API server."""
import time

from checks import require
from machine import Child, free_port, wait_until
from programs import value_of
from workers import PORT

from client import get, post

AWAY_SECONDS = 3
DECODE, PREFILL = {"llm-d.ai/role": "decode"}, {"llm-d.ai/role": "prefill"}
RIGHTS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
          {"apiGroups": ["inference.networking.k8s.io"], "resources": ["inferencepools"], "verbs": ["get", "list", "watch"]}]


class Sidecar(Child):
    """In front of a worker of its own, with the rights that docs/SIDECAR.md names, or another kubeconfig."""

    def __init__(self, namespace, *flags, kubeconfig=None):
        self.port, decoder = free_port(), free_port()
        namespace.worker_process("127.0.0.1", decoder)
        super().__init__(
            [namespace.world.kvasir, "sidecar", "-port", self.port, "-vllm-port", decoder, "-secure-proxy=false", "-enable-ssrf-protection=true",
             "--kubeconfig", kubeconfig or namespace.identity("sidecar", RIGHTS), *flags],
            namespace.world.folder / f"sidecar-{self.port}.log",
            {"INFERENCE_POOL_NAMESPACE": namespace.name, "INFERENCE_POOL_NAME": "pool"})
        namespace.stack.callback(self.stop)

    def ready(self):
        try:
            return get(self.port, "/ready").status == 200
        except OSError:
            return False

    def wait_for_ready(self, seconds=15):
        wait_until(self.ready, lambda: f"it is not ready: {self.tail()}", seconds)

    def status(self, prefiller):
        """Of a request that names this prefill worker."""
        return post(self.port, {"model": "Qwen/Qwen3-32B", "prompt": "to be", "max_tokens": 1}, {"x-prefiller-host-port": prefiller}).status

    def wait_for_status(self, prefiller, status, seconds=5):
        wait_until(lambda: self.status(prefiller) == status, lambda: f"{prefiller} gets no {status}: {self.tail()}", seconds)

    def size(self):
        return value_of(get(self.port, "/metrics").body.decode(), "llmd_sidecar_allowlist_size")

    def troubles(self):
        return [line for line in self.lines() if " warning " in line or " error " in line]


def _prefiller(namespace, name, labels=PREFILL):
    address = namespace.address_of(namespace.pod(name, labels))
    namespace.wait_for_worker(name)
    return f"{address}:{PORT}"


def allows_who_prefills_for_the_pool(namespace):
    """Ready prefill pods of the pool at its port, as they come, change and go, and the pool's port when that changes; nobody else."""
    namespace.pool()
    first, both = _prefiller(namespace, "first"), _prefiller(namespace, "both", {"llm-d.ai/role": "both"})
    decoder, other = _prefiller(namespace, "decoder", DECODE), _prefiller(namespace, "other", {"app": "another"})
    sidecar = Sidecar(namespace)
    sidecar.wait_for_ready()
    require([sidecar.status(address) for address in (first, both, decoder, other)] == [200, 200, 403, 403], sidecar.tail())
    second = _prefiller(namespace, "second")
    sidecar.wait_for_status(second, 200)
    namespace.set_ready("second", False)
    sidecar.wait_for_status(second, 403)
    namespace.set_ready("second", True)
    sidecar.wait_for_status(second, 200)
    namespace.api.merge("Pod", namespace.name, "second", {"metadata": {"labels": DECODE}})
    sidecar.wait_for_status(second, 403)
    namespace.delete("Pod", "both")
    sidecar.wait_for_status(both, 403)
    namespace.change_pool({"selector": {"matchLabels": {"app": "another"}}})
    sidecar.wait_for_status(other, 200)
    require(sidecar.status(first) == 403, "a pod that the pool no longer selects is allowed")
    namespace.change_pool({"targetPorts": [{"number": PORT + 1}]})
    sidecar.wait_for_status(other, 403)
    namespace.change_pool({"targetPorts": [{"number": PORT}]})
    sidecar.wait_for_status(other, 200)
    namespace.delete("InferencePool", "pool")
    gone = sidecar.wait_for_line("the allowlist stays as it is", "no such object")
    require(sidecar.status(other) == 200, "the list went with the pool: a slip of the hand must not stop what runs")
    troubles = [line for line in sidecar.troubles() if "not in the allowlist" not in line]
    require(troubles == [gone], f"with the rights that it needs, it complains: {troubles}")
    return "\n".join(line for line in sidecar.lines() if "allowlist_updated" in line)


def keeps_its_list_without_a_server(namespace):
    """The server away: the list stays, and what is not in it stays refused. Back: what came and went meanwhile is known."""
    namespace.pool()
    first, second = _prefiller(namespace, "first"), _prefiller(namespace, "second")
    sidecar = Sidecar(namespace)
    sidecar.wait_for_ready()
    namespace.delete("Pod", "second")
    sidecar.wait_for_status(second, 403)
    namespace.plane.kill_api_server()
    try:
        gone = time.monotonic()
        while time.monotonic() - gone < AWAY_SECONDS:
            require((sidecar.status(first), sidecar.status(second)) == (200, 403), f"the list does not stay: {sidecar.tail()}")
            require(sidecar.ready(), "it is not ready, though it has a list")
            time.sleep(0.1)
    finally:
        namespace.plane.start_api_server()
    third = _prefiller(namespace, "third")
    sidecar.wait_for_status(third, 200, 40)
    namespace.delete("Pod", "first")
    sidecar.wait_for_status(first, 403, 40)
    return "\n".join(line for line in sidecar.troubles() if "not in the allowlist" not in line)


def says_what_it_may_not_read(namespace):
    """Without rights, and without such a pool: a line says so, it is not ready and refuses everybody; it goes on without a restart."""
    first = _prefiller(namespace, "first")
    sidecar = Sidecar(namespace, kubeconfig=namespace.identity("sidecar", RIGHTS[1:]))
    line = sidecar.wait_for_line("does not allow this program to", "pods", "kube rbac", "--sidecar", seconds=15)
    require(not sidecar.ready(), "it is ready, and has no list")
    require(sidecar.status(first) == 403, "a worker of no list is allowed")
    namespace.api.merge("Role", namespace.name, "sidecar", {"rules": RIGHTS})
    no_pool = sidecar.wait_for_line("there is no such object", seconds=60)
    require(sidecar.status(first) == 403, "a worker of no pool is allowed")
    namespace.pool()
    sidecar.wait_for_status(first, 200, 60)
    sidecar.wait_for_ready()
    return f"{line}\n{no_pool}"
