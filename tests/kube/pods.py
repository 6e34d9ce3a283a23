"""What cases do with pods of a real node: their programs, their metrics, streams that stay open."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import subprocess
import urllib.request

from checks import require
from programs import value_of


def kill_containers(uid, number):
    """Sends a signal to the programs of ours in a pod; its containers are started again."""
    words = (uid, uid.replace("-", "_"))
    killed = 0
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if any(word in (folder / "cgroup").read_text() for word in words) and (folder / "comm").read_text().strip() == "kvasir":
                os.kill(int(folder.name), number)
                killed += 1
    require(killed, f"no process of pod {uid}")


def metric(address, name, labels="", port=9090):
    """The sum of its series whose labels contain that text; 0: there is none."""
    with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=10) as answer:
        return value_of(answer.read().decode(), name, labels) or 0


def libraries(program):
    """What it loads, for an image: a file of this machine for each name."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return {path.lstrip("/"): path for path in re.findall(r"(/\S+) \(0x", listed)}


@contextlib.contextmanager
def open_streams(port, body, endpoints, count):
    """`count` streams on each of these endpoints, begun and not over while the context lasts."""
    connections = []
    try:
        for endpoint in endpoints * count:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connections.append(connection)
            connection.request("POST", "/v1/completions", json.dumps(body),
                               {"Content-Type": "application/json", "x-test-subset": endpoint})
            answer = connection.getresponse()
            require(answer.status == 200, f"{answer.status}: {endpoint}")
            require(answer.headers.get("x-envoy-served") == endpoint, "the subset hint is not followed")
        yield
    finally:
        for connection in connections:
            connection.close()
