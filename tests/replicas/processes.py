"""Workers, pickers and Envoys as processes of their own."""
import json
import pathlib
import random
import signal
import socket
import subprocess
import time
import urllib.request

from envoy_config import configuration

READY_SECONDS = 30
TIME_SCALE = 200
CONFIG = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: session-affinity-filter
  parameters: {strategy: session_id}
- type: inflight-load-producer
- type: active-request-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: session-affinity-filter
  - pluginRef: active-request-scorer
  - pluginRef: max-score-picker
"""
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


def wait_until(holds, what):
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def answers(host, port):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class Child:
    def __init__(self, command, log):
        self.log = pathlib.Path(log)
        with open(self.log, "w") as output:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output)

    def wait_for(self, text, times=1):
        def there():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.log} ended: {self.log.read_text()[-500:]}")
            return self.log.read_text().count(text) >= times
        wait_until(there, f"{self.log} never says '{text}' {times} times")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


class Worker(Child):
    """Each has an address of its own: a subset names addresses."""

    def __init__(self, kvasir, folder, number):
        self.host, self.port = f"127.0.2.{number}", free_port()
        self.name = f"{self.host}:{self.port}"
        super().__init__([kvasir, "worker", "--host", self.host, "--port", self.port, "--time-scale", TIME_SCALE],
                         f"{folder}/worker-{number}.log")

    def wait(self):
        wait_until(lambda: answers(self.host, self.port), f"{self.name} does not listen")


class Picker(Child):
    def __init__(self, kvasir, folder, name, workers, port, peers):
        self.port = port
        secret = pathlib.Path(folder) / "peers-secret"
        if not secret.exists():  # the picker that was started before may be reading it
            secret.write_text("the secret of these pickers\n")
        sharing = ["--peers", ",".join(f"localhost:{peer}" for peer in peers), "--peers-secret-file", secret] if peers else []
        super().__init__([kvasir, "epp", "--endpoints", ",".join(worker.name for worker in workers),
                          "--config-text", CONFIG, "--allow-experimental-plugins", "--host", "127.0.0.1",
                          "--grpc-port", port, "--grpc-health-port", free_port(), "--metrics-port", free_port(),
                          "--secure-serving=false", "--threads", 2, *sharing], f"{folder}/picker-{name}.log")
        self.workers = len(workers)

    def wait(self, others):
        self.wait_for(" is healthy", self.workers)
        if others:
            self.wait_for(f"sharing load and sessions with {others} other")


class Envoy(Child):
    def __init__(self, binary, folder, picker_ports, helped):
        self.port, self.admin_port = free_port(), free_port()
        config = pathlib.Path(folder) / f"envoy-{self.port}.json"
        config.write_text(json.dumps(configuration(self.port, self.admin_port, picker_ports, helped), indent=1))
        super().__init__([binary, "-c", config, "--concurrency", 1, "--use-dynamic-base-id", "-l", "warning"],
                         f"{folder}/envoy-{self.port}.log")
        wait_until(lambda: answers("127.0.0.1", self.port), f"Envoy does not listen: {self.log.read_text()[-800:]}")
        wait_until(lambda: self.counter("cluster.picker.membership_healthy") == len(picker_ports),
                   "Envoy does not find all pickers healthy")

    def counter(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/stats?filter=^{name}$") as answer:
            return int(answer.read().decode().partition(": ")[2] or 0)
