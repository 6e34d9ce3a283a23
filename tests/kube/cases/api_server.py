"""The API server goes away, comes back, and refuses."""
import time

from checks import require
from machine import wait_until

AWAY_SECONDS = 5
KINDS = 6  # that a picker follows
VERBS = ["get", "list", "watch"]


def killed_and_restarted(namespace):
    """Without API server: endpoints are kept, requests are served, the age of what is known grows. Then it goes on."""
    namespace.pool()
    namespace.pod("first")
    picker = namespace.picker()
    picker.wait_for_endpoints(1)
    namespace.wait_for_worker("first")
    front = namespace.envoy(picker)
    namespace.plane.kill_api_server()
    try:
        gone = time.monotonic()
        statuses = []
        while time.monotonic() - gone < AWAY_SECONDS:
            statuses.append(front.post().status)
            require(picker.ready_endpoints() == 1, "the endpoint is gone with the API server")
            time.sleep(0.1)
        age = picker.age("Pod")
        require(age is not None and age >= AWAY_SECONDS - 2, f"{AWAY_SECONDS} s without server, and the age told is {age}")
        require(set(statuses) == {200}, f"requests failed meanwhile: {set(statuses)}")
    finally:
        namespace.plane.start_api_server()
    namespace.pod("second")
    began = time.monotonic()
    picker.wait_for_endpoints(2, seconds=40)
    noticed = time.monotonic() - began
    wait_until(lambda: picker.age("Pod") < AWAY_SECONDS, "the age stays old", 40)
    troubles = [line for line in picker.lines() if " warning " in line]
    # Of each kind once for each reason: refused, reset, "storage is (re)initializing", ... and never try by try.
    require(len(troubles) <= 5 * KINDS, f"{len(troubles)} warnings: {troubles}")
    return f"age told {age:.1f} s; a new pod is known {noticed:.1f} s after the server is back; {len(troubles)} warnings"


def started_without_server(namespace):
    """A picker that starts while the server is away waits for it, and is not ready till then."""
    namespace.pool()
    namespace.pod("worker")
    namespace.wait_for_worker("worker")
    namespace.plane.kill_api_server()
    try:
        picker = namespace.picker()
        picker.wait_for_page()
        require(not picker.is_ready(), "it says that it is ready, and has never heard of a server")
    finally:
        namespace.plane.start_api_server()
    picker.wait_for_endpoints(1, seconds=40)


def right_taken_away(namespace):
    """A role without `watch` on pods: one clear line and an event; given back, it works without a restart."""
    namespace.pool()
    namespace.pod("worker")
    kubeconfig = namespace.identity("limited", _rules(["get", "list"]))
    picker = namespace.picker(kubeconfig=kubeconfig)
    picker.wait_for_line("watch pods", seconds=15)
    time.sleep(3)  # it tries again meanwhile
    lines = [line for line in picker.lines() if "watch pods" in line]
    require(picker.running(), f"it ended: {picker.tail()}")
    require(len(lines) == 1, f"told {len(lines)} times: {lines}")
    wait_until(lambda: namespace.events("PermissionMissing"), "there is no event", 10)
    namespace.api.merge("Role", namespace.name, "limited", {"rules": _rules(VERBS)})
    picker.wait_for_endpoints(1, seconds=60)
    return lines[0]


def right_to_rewrites_is_missing(namespace):
    """A role from before there were rewrites: one line says so, and the picker is ready and serves."""
    namespace.pool()
    namespace.pod("worker")
    rules = [rule if "*" not in rule["resources"] else
             {**rule, "resources": ["inferencepools", "inferenceobjectives"]} for rule in _rules(VERBS)]
    picker = namespace.picker(kubeconfig=namespace.identity("older", rules))
    picker.wait_for_endpoints(1)
    wait_until(picker.is_ready, lambda: f"it does not become ready: {picker.tail()}", 10)
    lines = [line for line in picker.lines() if " warning " in line and "inferencemodelrewrites" in line]
    require(1 <= len(lines) <= 2, f"told {len(lines)} times, one of each group: {lines}")
    return lines[0]


def printed_rights_suffice(namespace):
    """With the role of `kvasir kube rbac` and no other right the picker works, and misses nothing."""
    namespace.pool()
    namespace.pod("worker")
    printed = namespace.kvasir("kube", "rbac", "--name", "printed", "--pool-name", "pool",
                               "--pool-namespace", namespace.name, "--leader-election")
    namespace.kubectl("apply", "-f", "-", stdin=printed)
    picker = namespace.picker("--ha-enable-leader-election", kubeconfig=namespace.token_kubeconfig("printed"))
    picker.wait_for_endpoints(1)
    wait_until(picker.is_ready, lambda: f"it does not lead: {picker.tail()}", 20)
    require("does not allow" not in picker.log.read_text(), f"something is forbidden: {picker.tail()}")


def _rules(pod_verbs):
    return [{"apiGroups": [""], "resources": ["pods"], "verbs": pod_verbs},
            {"apiGroups": ["inference.networking.k8s.io", "llm-d.ai", "inference.networking.x-k8s.io"],
             "resources": ["*"], "verbs": VERBS},
            {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]}]
