"""The network of the real node: a pair of interfaces between it and this machine, and routes to pods and services.

This machine is 10.240.0.1, the node 10.240.0.2. Below each route is one that refuses: while the node is down nothing for
these addresses leaves by the default route."""
import contextlib
import fcntl
import subprocess

MACHINE, NODE = "10.240.0.1", "10.240.0.2"
NAMESPACE, OUTSIDE, INSIDE = "kvasir-node", "kvasir0", "kvasir1"
LINK, PODS, SERVICES = "10.240.0.0/30", "10.244.0.0/16", "10.96.0.0/16"
UNREACHABLE_METRIC = "60000"


def _ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def remove():
    """Also what an earlier run left that was killed."""
    _ip("netns", "del", NAMESPACE, check=False)
    _ip("link", "del", OUTSIDE, check=False)
    for net in (LINK, PODS, SERVICES):
        _ip("route", "del", "unreachable", net, "metric", UNREACHABLE_METRIC, check=False)


def _add():
    for net in (LINK, PODS, SERVICES):
        _ip("route", "add", "unreachable", net, "metric", UNREACHABLE_METRIC)
    _ip("link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE)
    _ip("addr", "add", f"{MACHINE}/30", "dev", OUTSIDE)
    _ip("link", "set", OUTSIDE, "up")
    _ip("netns", "add", NAMESPACE)
    _ip("link", "set", INSIDE, "netns", NAMESPACE)
    _ip("-n", NAMESPACE, "link", "set", "lo", "up")
    _ip("-n", NAMESPACE, "addr", "add", f"{NODE}/30", "dev", INSIDE)
    _ip("-n", NAMESPACE, "link", "set", INSIDE, "up")
    _ip("-n", NAMESPACE, "route", "add", "default", "via", MACHINE)
    for net in (PODS, SERVICES):
        _ip("route", "add", net, "via", NODE)


@contextlib.contextmanager
def node_network():
    """One at a time on a machine: a second run waits."""
    with open("/tmp/kvasir-kube-node.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove()
        try:
            _add()
            yield
        finally:
            remove()
