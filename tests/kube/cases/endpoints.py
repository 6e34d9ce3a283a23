"""Which pods become endpoints, and how soon."""
import threading

from checks import require
from machine import wait_until
from namespace import APP

SOON_MS = 100
PODS = 10


def three_pods_behind_envoy(namespace):
    """An InferencePool of three pods behind a real Envoy: each of them serves, and nobody else."""
    pods = [namespace.pod(f"worker-{number}") for number in range(3)]
    namespace.pool()
    picker = namespace.picker()
    picker.wait_for_endpoints(3)
    front = namespace.envoy(picker)
    served = {front.post(prompt=f"{number} to be or not to be").served() for number in range(30)}
    expected = {f"{namespace.address_of(pod)}:8000" for pod in pods}
    require(served == expected, f"{served} served instead of {expected}")


def pods_that_do_not_count(namespace):
    """Other labels, not ready, being deleted, in another namespace, over or evicted: not endpoints."""
    namespace.pool()
    namespace.pod("worker")
    namespace.pod("other", labels={"app": "other"})
    namespace.pod("unready")
    namespace.pod("over")
    namespace.pod("evicted")
    namespace.pod("going", finalizers=["kvasir.dev/stays"])
    picker = namespace.picker()
    picker.wait_for_endpoints(5)
    namespace.set_ready("unready", False)
    namespace.set_phase("over", "Succeeded")
    namespace.set_phase("evicted", "Failed", ready=True)  # as kubelet leaves it while it ends
    namespace.delete("Pod", "going")
    try:
        picker.wait_for_endpoints(1)
        with namespace.world.namespace() as other:
            other.pod("elsewhere")
            other.wait_for_worker("elsewhere")
            namespace.set_ready("unready", True)
            picker.wait_for_endpoints(2)
    finally:
        namespace.api.merge("Pod", namespace.name, "going", {"metadata": {"finalizers": None}})


def kubectl_scale(namespace):
    """A Deployment of two is scaled to eight and down to one: the picker has as many endpoints."""
    namespace.pool()
    namespace.deployment("vllm", 2)
    picker = namespace.picker()
    picker.wait_for_endpoints(2)
    for replicas in (8, 1, 4):
        namespace.kubectl("scale", "deployment/vllm", f"--replicas={replicas}")
        picker.wait_for_endpoints(replicas)


def _event_times(namespace, times):
    for when, kind, pod in namespace.watch("Pod"):
        ready = any(condition["type"] == "Ready" and condition["status"] == "True"
                    for condition in pod.get("status", {}).get("conditions", []))
        if ready or kind == "DELETED":
            times.setdefault((pod["metadata"]["name"], "DELETED" if kind == "DELETED" else "Ready"), when)


def seen_within_100_ms(namespace):
    """Ten pods come and go: from the watch event to the picker's line about it, 100 ms at most.

    Their processes run before their pods are Ready, so that the picker's first health check passes."""
    namespace.pool()
    picker = namespace.picker()
    names = [f"worker-{number}" for number in range(PODS)]
    addresses = {name: namespace.worker_process() for name in names}
    times = {}
    threading.Thread(target=_event_times, args=(namespace, times), daemon=True).start()
    picker.wait_for_page()
    delays = []
    for name in names:
        namespace.pod(name, address=addresses[name], process=False)
        line = picker.wait_for_line(f"{namespace.name}/{name}-rank-0", "is healthy")
        delays.append(_delay(picker, line, times, name, "Ready"))
    for name in names:
        namespace.delete("Pod", name)
        line = picker.wait_for_line(f"{namespace.name}/{name}-rank-0", "left the fleet")
        delays.append(_delay(picker, line, times, name, "DELETED"))
    slowest = max(delays) * 1000
    require(slowest <= SOON_MS, f"{slowest:.0f} ms from an event to the picker's line; all: {_in_ms(delays)}")
    return f"slowest of {len(delays)}: {slowest:.0f} ms; median {sorted(delays)[len(delays) // 2] * 1000:.0f} ms"


def _delay(picker, line, times, name, what):
    """Seconds; both may see the event first, and the log has whole milliseconds."""
    event = wait_until(lambda: times.get((name, what)), f"no event: {name} {what}")
    return max(0.0, picker.time_of(line) - event)


def _in_ms(delays):
    return [round(delay * 1000) for delay in delays]


def pool_comes_later(namespace):
    """A picker that was started before its pool and its pods waits for them, and is not ready till then."""
    picker = namespace.picker()
    picker.wait_for_page()
    require(not picker.is_ready(), "it says that it is ready before there is a pool")
    namespace.pod("worker")
    namespace.pool()
    picker.wait_for_endpoints(1)
    wait_until(picker.is_ready, lambda: f"it does not become ready: {picker.tail()}", 10)


def pool_changes(namespace):
    """Another selector, then two ports: the endpoints follow."""
    namespace.pool(selector={"app": "vllm", "color": "red"})
    pods = [namespace.pod(color, labels={"color": color}) for color in ("red", "blue")]
    picker = namespace.picker()
    picker.wait_for_endpoints(1)
    namespace.change_pool({"selector": {"matchLabels": {"color": None}}})
    picker.wait_for_endpoints(2)
    for pod in pods:
        namespace.worker_process(namespace.address_of(pod), 8001)
    namespace.change_pool({"targetPorts": [{"number": 8000}, {"number": 8001}]})
    picker.wait_for_endpoints(4)
    picker.wait_for_line("red-rank-1", "is healthy")
    namespace.change_pool({"targetPorts": [{"number": 8000}], "selector": {"matchLabels": {"color": "blue"}}})
    picker.wait_for_endpoints(1)


def pod_loses_its_label(namespace):
    """A Ready pod loses the label that the pool selects, and gets it back."""
    namespace.pool()
    namespace.pod("worker")
    namespace.pod("other")
    picker = namespace.picker()
    picker.wait_for_endpoints(2)
    namespace.kubectl("label", "pod", "worker", "app-")
    picker.wait_for_endpoints(1)
    namespace.kubectl("label", "pod", "worker", f"app={APP['app']}")
    picker.wait_for_endpoints(2)


def pool_is_made_anew(namespace):
    """The pool is deleted: its endpoints stay, told once. Made anew with another selector and port, they follow."""
    namespace.pool()
    namespace.pod("worker")
    blue = namespace.pod("blue", labels={"color": "blue"})
    picker = namespace.picker()
    picker.wait_for_endpoints(2)
    namespace.delete("InferencePool", "pool")
    picker.wait_for_line("there is no such object")
    require(picker.ready_endpoints() == 2, f"the endpoints went with their pool: {picker.tail()}")
    namespace.worker_process(namespace.address_of(blue), 8001)
    namespace.pool(ports=(8001,), selector={"color": "blue"})
    picker.wait_for_endpoints(1)
    picker.wait_for_line("worker-rank-0", "left the fleet")
    picker.wait_for_line("blue-rank-0", "is healthy")


def without_a_pool(namespace):
    """--endpoint-selector and --endpoint-target-ports: pods by their labels, no InferencePool."""
    namespace.pod("worker")
    namespace.pod("other", labels={"app": "other"})
    selector = ",".join(f"{label}={value}" for label, value in APP.items())
    picker = namespace.picker("--pool-namespace", namespace.name, "--endpoint-selector", selector,
                              "--endpoint-target-ports", 8000, pool=None)
    picker.wait_for_endpoints(1)

