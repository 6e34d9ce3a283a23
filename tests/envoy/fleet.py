"""Simulated workers and pickers as processes of their own."""
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

from envoy_process import READY_SECONDS, free_port, wait_for

# Fast, and slow enough that an answer of a thousand tokens takes time to watch.
TIME_SCALE = 200


class Child:
    def __init__(self, command, log):
        self.log = pathlib.Path(log)
        with open(self.log, "w") as output:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output)

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
    """Each has an address of its own (127.0.1.N): by default a subset names addresses, not ports."""

    def __init__(self, kvasir, folder, number, *flags):
        self.host, self.port = f"127.0.1.{number}", free_port()
        self.name = f"{self.host}:{self.port}"
        super().__init__([kvasir, "worker", "--host", self.host, "--port", self.port, "--time-scale", TIME_SCALE,
                          "--max-model-len", 1_000_000, "--num-gpu-blocks-override", 200_000, *flags],
                         f"{folder}/worker-{number}.log")

    def wait(self):
        wait_for(self.port, host=self.host, process=self.process)

    def served(self):
        """Requests that it has answered to the end."""
        return self._metric("vllm:request_success_total")

    def running(self):
        return self._metric("vllm:num_requests_running")

    def _metric(self, name):
        """The sum over its series."""
        with urllib.request.urlopen(f"http://{self.name}/metrics", timeout=10) as answer:
            values = re.findall(rf"^{name}{{[^}}]*}} (\S+)$", answer.read().decode(), re.M)
        return int(sum(map(float, values)))


class Picker(Child):
    """`kvasir epp` for some endpoints, ready when it finds as many of them healthy as it should."""

    def __init__(self, kvasir, folder, endpoints, *flags, healthy=None, tls=False):
        self.port, self.health_port, self.metrics_port = free_port(), free_port(), free_port()
        super().__init__([kvasir, "epp", "--endpoints", ",".join(endpoints), "--grpc-port", self.port,
                          "--grpc-health-port", self.health_port, "--metrics-port", self.metrics_port,
                          f"--secure-serving={str(tls).lower()}", "--threads", 1, "--answer-headers", *flags],
                         f"{folder}/picker-{self.port}.log")
        wait_for(self.port, process=self.process)
        self._wait_for_endpoints(len(endpoints) if healthy is None else healthy)

    def _wait_for_endpoints(self, wanted):
        deadline = time.monotonic() + READY_SECONDS
        while self.log.read_text().count(" is healthy") < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the picker does not find {wanted} endpoints: {self.log.read_text()[-500:]}")
            time.sleep(0.02)
