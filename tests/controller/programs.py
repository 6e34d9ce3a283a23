"""The programs of these tests: `kvasir controller` with its Envoy, `kvasir gateway`, `kvasir epp`, workers."""
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "envoy"))
from envoy_process import free_port, wait_for  # noqa: E402

READY_SECONDS = 30


class Program:
    """A process whose output is a file; stop() ends it."""

    def __init__(self, command, log):
        self.log = pathlib.Path(log)
        with open(self.log, "a") as out:
            self.process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out)

    def text(self):
        return self.log.read_text()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def until(holds, what):
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


class Controlled:
    """`kvasir controller` on a file of objects, and the Envoy that follows it, ready."""

    def __init__(self, kvasir, envoy, folder, text, ports, *flags, ready=True):
        """`ports`: of the listeners."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.manifest = self.folder / "routes.yaml"
        self.manifest.write_text(text)
        self.out = self.folder / "envoy"
        self.ports = {port: free_port() for port in ports}
        self.admin = free_port()
        mapped = [word for port, at in self.ports.items() for word in ("--listener-port", f"{port}={at}")]
        self.command = [kvasir, "controller", "-f", self.manifest, "--out", self.out, "--listener-address", "127.0.0.1",
                        "--admin", f"127.0.0.1:{self.admin}", *mapped, *flags]
        self.controller = Program(self.command, self.folder / "controller.log")
        bootstrap = self.out / "bootstrap.json"
        until(lambda: bootstrap.exists() or self.controller.process.poll() is not None, "no bootstrap.json")
        if self.controller.process.poll() is not None:
            raise RuntimeError(self.controller.text())
        self.envoy = Program([envoy, "-c", bootstrap, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"],
                             self.folder / "envoy.log")
        wait_for(self.admin, process=self.envoy.process)
        if ready:
            self.wait_until_listening()

    def wait_until_listening(self):
        until(lambda: self.admin_text("ready").startswith("LIVE"), "Envoy is not ready")
        self.require_nothing_rejected()

    def admin_text(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/{path}") as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def counters(self, expression):
        lines = self.admin_text(f"stats?filter={expression}").splitlines()
        return {name: int(value) for name, value in (line.rsplit(": ", 1) for line in lines if line) if value.isdigit()}

    def require_nothing_rejected(self):
        rejected = {name: count for name, count in self.counters("update_rejected|init_fetch_timeout").items() if count}
        if rejected:
            raise RuntimeError(f"Envoy rejects what the controller wrote: {rejected}\n{self.envoy.text()[-3000:]}")

    def validate(self, envoy):
        """What `envoy --mode validate` says of all that was written, as one file, since of others it reads nothing."""
        def resources(name):
            return json.loads((self.out / name).read_text())["resources"]
        listeners = [{key: value for key, value in one.items() if key != "@type"} for one in resources("listeners.json")]
        for manager in (part["typed_config"] for one in listeners for chain in one["filter_chains"]
                        for part in chain["filters"]):
            source = manager.pop("rds")["config_source"]["path_config_source"]["path"]
            manager["route_config"] = {**resources(pathlib.Path(source).relative_to(self.out))[0], "validate_clusters": False}
            del manager["route_config"]["@type"]
        clusters = [{key: value for key, value in one.items() if key != "@type"} for one in resources("clusters.json")]
        whole = json.loads((self.out / "bootstrap.json").read_text())
        del whole["dynamic_resources"]
        whole["static_resources"] = {"listeners": listeners, "clusters": clusters}
        file = self.folder / "whole.json"
        file.write_text(json.dumps(whole))
        said = subprocess.run([envoy, "--mode", "validate", "-c", file, "--use-dynamic-base-id", "-l", "warning"],
                              capture_output=True, text=True)
        if said.returncode:
            raise RuntimeError(f"envoy --mode validate: {said.stdout}{said.stderr}")

    def stop(self):
        self.envoy.stop()
        self.controller.stop()


class Gateway:
    """`kvasir gateway --routes` for one port of the listeners, ready."""

    def __init__(self, kvasir, folder, manifest, listener_port, workers, *flags):
        self.port = free_port()
        self.program = Program(
            [kvasir, "gateway", "--routes", manifest, "--listener-port", listener_port, "--port", self.port,
             "--worker-urls", ",".join(workers), "--threads", 1, *flags], pathlib.Path(folder) / "gateway.log")
        try:
            wait_for(self.port, process=self.program.process)
        except RuntimeError as problem:
            raise RuntimeError(f"{problem}: {self.program.text()}") from None

    def stop(self):
        self.program.stop()


class Picker:
    """`kvasir epp` for these endpoints, without TLS, ready."""

    def __init__(self, kvasir, folder, endpoints, *flags):
        self.port, self.health, self.metrics = free_port(), free_port(), free_port()
        self.program = Program(
            [kvasir, "epp", "--endpoints", ",".join(endpoints), "--grpc-port", self.port, "--grpc-health-port",
             self.health, "--metrics-port", self.metrics, "--secure-serving=false", *flags],
            pathlib.Path(folder) / f"epp-{self.port}.log")
        wait_for(self.port, process=self.program.process)

    def stop(self):
        self.program.stop()


class Worker:
    def __init__(self, kvasir, folder, *flags):
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        self.program = Program([kvasir, "worker", "--port", self.port, "--time-scale", 1000, *flags],
                               pathlib.Path(folder) / f"worker-{self.port}.log")
        wait_for(self.port, process=self.program.process)

    def stop(self):
        self.program.stop()
