"""What a newcomer does with a cluster: the demo, scaled, broken and restarted under load."""
import time

from checks import Skipped, require
from load import Load, summary
from machine import ROOT, answers, wait_until

from envoy_config import Shape

DEMO, PICKER = ROOT / "deploy/demo", ROOT / "deploy/epp"
NAMESPACE = "kvasir-demo"
MODEL = "Qwen/Qwen3-32B"
KEY = "sk-kvasir-demo"  # as deploy/demo/base/keys.yaml says
WORKERS, MORE_WORKERS = 4, 8
CLIENTS = 8
TRAFFIC_SECONDS = 1  # from Ready to the first request
SETTLE_SECONDS = 3


class Demo:
    """deploy/demo in the cluster, with its four workers; applied by whichever case comes first."""

    def __init__(self, world):
        if not DEMO.exists():
            raise Skipped(f"there is no {DEMO}")
        self.world, self.began = world, time.monotonic()
        world.plane.kubectl("apply", "-k", DEMO)
        self.scale(WORKERS)
        self.kubectl("rollout", "status", "deployment", "--timeout=120s")
        self.ready_after = time.monotonic() - self.began
        service = world.api.get("Service", NAMESPACE, "kvasir-gateway")["spec"]
        self.address = service["clusterIP"], service["ports"][0]["port"]
        wait_until(lambda: answers(*self.address), "the Service does not answer")  # kube-proxy takes a moment

    def kubectl(self, *arguments):
        return self.world.plane.kubectl("-n", NAMESPACE, *arguments)

    def scale(self, count):
        self.kubectl("scale", "deployment/kvasir-worker", f"--replicas={count}")
        wait_until(lambda: len(self.workers()) == count, self.picture, 120)

    def picture(self):
        """For people, when something does not come about."""
        logs = self.kubectl("logs", "-l", "app.kubernetes.io/part-of=kvasir", "--tail=5", "--prefix")
        return self.kubectl("get", "pods", "-o", "wide") + logs

    def workers(self):
        """When each that is Ready became so, by its name."""
        found = {}
        for pod in self.world.api.list("Pod", NAMESPACE):
            if pod["metadata"]["name"].startswith("kvasir-worker") and "deletionTimestamp" not in pod["metadata"]:
                found |= {pod["metadata"]["name"]: condition["lastTransitionTime"]
                          for condition in pod["status"].get("conditions", [])
                          if condition["type"] == "Ready" and condition["status"] == "True"}
        return found

    def count(self, name):
        """Its pods, also those that are being deleted."""
        return sum(pod["metadata"]["name"].startswith(name) for pod in self.world.api.list("Pod", NAMESPACE))

    def load(self):
        return Load(self.address, MODEL, CLIENTS, key=KEY)


def streams_an_answer(namespace):
    """`kubectl apply -k deploy/demo` on a cluster without anything, to a streamed answer through the gateway."""
    demo = Demo(namespace.world)
    outcomes = _load_until(demo, lambda load: len(load.outcomes) >= CLIENTS)
    require(all(outcome.good() for outcome in outcomes), summary(outcomes))
    return f"ready {demo.ready_after:.1f} s after apply; {summary(outcomes)}"


def is_scaled_under_load(namespace):
    """`kubectl scale` from 4 workers to 8 and back: no request fails, new pods get some within a second of Ready."""
    demo = Demo(namespace.world)
    load = demo.load()
    old = set(demo.workers())
    demo.kubectl("scale", "deployment/kvasir-worker", f"--replicas={MORE_WORKERS}")
    delays = _first_traffic(demo, load, old)
    demo.scale(WORKERS)
    wait_until(lambda: demo.count("kvasir-worker") == WORKERS, "pods that are deleted do not go", 180)
    time.sleep(SETTLE_SECONDS)
    outcomes = load.stop()
    require(all(outcome.good() for outcome in outcomes), summary(outcomes))
    require(len(delays) == MORE_WORKERS - WORKERS, f"only {len(delays)} new workers")
    require(max(delays.values()) <= TRAFFIC_SECONDS, f"a new pod waits for requests: {delays}")
    return f"{summary(outcomes)}; a new pod's first request {max(delays.values()):.2f} s after Ready at most"


def _first_traffic(demo, load, old):
    """For each new pod: seconds from being seen Ready to the first request that it served."""
    ready, delays = {}, {}

    def done():
        for name in demo.workers():
            if name not in old:
                ready.setdefault(name, time.time())
        for name, since in ready.items():
            served = load.first_served_by(name, since - 5)
            if served is not None:
                delays.setdefault(name, max(0.0, served - since))
        return len(delays) == MORE_WORKERS - WORKERS
    wait_until(done, lambda: f"no requests for new pods: Ready {sorted(ready)}, served {sorted(delays)}", 120, 0.02)
    return delays


def a_worker_is_deleted_by_force(namespace):
    """`kubectl delete pod --grace-period=0 --force` under load: nothing is lost but what that pod was streaming."""
    demo = Demo(namespace.world)
    load = demo.load()
    time.sleep(SETTLE_SECONDS)
    victim = sorted(demo.workers())[0]
    deleted = time.time()
    demo.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
    wait_until(lambda: len(demo.workers()) == WORKERS and victim not in demo.workers(), "it is not replaced", 60)
    time.sleep(SETTLE_SECONDS)
    outcomes = load.stop()
    lost = [outcome for outcome in outcomes if not outcome.good()]
    require(all(victim in outcome.served_by and outcome.status == 200 for outcome in lost), summary(outcomes))
    require(all(outcome.began <= deleted + 2 for outcome in lost), f"lost long after the deletion: {summary(outcomes)}")
    return f"{summary(outcomes)}{', all of them streamed by the deleted pod' if lost else ''}"


def the_gateway_is_restarted_under_load(namespace):
    """`kubectl rollout restart` of the gateway, two replicas behind a Service: nothing is lost."""
    demo = Demo(namespace.world)
    load = demo.load()
    time.sleep(SETTLE_SECONDS)
    demo.kubectl("rollout", "restart", "deployment/kvasir-gateway")
    demo.kubectl("rollout", "status", "deployment/kvasir-gateway", "--timeout=180s")
    wait_until(lambda: demo.count("kvasir-gateway") == 2, "the old gateways do not go", 180)
    time.sleep(SETTLE_SECONDS)
    outcomes = load.stop()
    require(all(outcome.good() for outcome in outcomes), summary(outcomes))
    return summary(outcomes)


def the_picker_is_restarted_under_load(namespace):
    """`kubectl rollout restart` of deploy/epp, two replicas behind a Service that a real Envoy asks: nothing is lost."""
    demo = Demo(namespace.world)
    demo.kubectl("apply", "-k", PICKER)
    demo.kubectl("set", "resources", "deployment/kvasir-epp", "--requests=cpu=50m,memory=64Mi")
    demo.kubectl("scale", "deployment/kvasir-epp", "--replicas=2")
    demo.kubectl("rollout", "status", "deployment/kvasir-epp", "--timeout=180s")
    address = namespace.api.get("Service", NAMESPACE, "kvasir-epp")["spec"]["clusterIP"], 9002
    front = namespace.envoy_before([address], shape=Shape(tls=True, second_chance=True))
    load = Load(("127.0.0.1", front.envoy.port), MODEL, CLIENTS)
    time.sleep(SETTLE_SECONDS)
    demo.kubectl("rollout", "restart", "deployment/kvasir-epp")
    demo.kubectl("rollout", "status", "deployment/kvasir-epp", "--timeout=180s")
    wait_until(lambda: demo.count("kvasir-epp") == 2, "the old pickers do not go", 180)
    time.sleep(SETTLE_SECONDS)
    outcomes = load.stop()
    demo.kubectl("delete", "-k", PICKER, "--wait=false")
    require(all(outcome.good() for outcome in outcomes), summary(outcomes))
    return summary(outcomes)


def _load_until(demo, holds):
    load = demo.load()
    wait_until(lambda: holds(load), "no answers", 60)
    return load.stop()
