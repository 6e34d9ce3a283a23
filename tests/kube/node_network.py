"""The network of the real node: a pair of interfaces between it and this machine, and routes to pods and services.

This machine is 10.240.0.1, the node 10.240.0.2. Below each route is one that refuses: while the node is down nothing for
these addresses leaves by the default route."""
import contextlib
import fcntl
import subprocess

from machine import Child, wait_until

MACHINE, NODE = "10.240.0.1", "10.240.0.2"
OUTSIDE, INSIDE = "kvasir0", "kvasir1"
LINK, PODS, SERVICES = "10.240.0.0/30", "10.244.0.0/16", "10.96.0.0/16"
UNREACHABLE_METRIC = "60000"


def _run(*command, check=True):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def _remove():
    """Also what an earlier run left that was killed."""
    _run("ip", "link", "del", OUTSIDE, check=False)
    for net in (LINK, PODS, SERVICES):
        _run("ip", "route", "del", "unreachable", net, "metric", UNREACHABLE_METRIC, check=False)


def _add(holder):
    for net in (LINK, PODS, SERVICES):
        _run("ip", "route", "add", "unreachable", net, "metric", UNREACHABLE_METRIC)
    _run("ip", "link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE)
    _run("ip", "addr", "add", f"{MACHINE}/30", "dev", OUTSIDE)
    _run("ip", "link", "set", OUTSIDE, "up")
    _run("ip", "link", "set", INSIDE, "netns", holder.pid)
    inside = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "ip"]
    _run(*inside, "link", "set", "lo", "up")
    _run(*inside, "addr", "add", f"{NODE}/30", "dev", INSIDE)
    _run(*inside, "link", "set", INSIDE, "up")
    _run(*inside, "route", "add", "default", "via", MACHINE)
    for net in (PODS, SERVICES):
        _run("ip", "route", "add", net, "via", NODE)


def _has_own_network(holder):
    name = "/proc/{}/ns/net"
    return _run("readlink", name.format(holder.pid)) != _run("readlink", name.format("self"))


@contextlib.contextmanager
def node_network(folder):
    """The path of the node's network namespace, which lasts as long as a process of ours. One at a time on a machine: a
    second run waits."""
    with open("/tmp/kvasir-kube-node.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove()
        holder = Child(["unshare", "--net", "sleep", "infinity"], folder / "network.log")
        try:
            wait_until(lambda: _has_own_network(holder), lambda: f"no network namespace: {holder.tail()}")
            _add(holder)
            yield f"/proc/{holder.pid}/ns/net"
        finally:
            _remove()
            holder.kill()
