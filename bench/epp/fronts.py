"""Envoy without a picker, with the bare one and with Kvasir's: how each is started, and its CPU time."""

import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path += [str(PROJECT / folder) for folder in ("bench", "bench/gateway", "tests/envoy")]

from contenders import StartFailed, wrong_reply  # noqa: E402
from envoy_config import Shape, configuration  # noqa: E402
from processes import Child, free_port  # noqa: E402

START_SECONDS = 30
# How often the picker asks each worker for its metrics: as often as llm-d's picker does.
SCRAPE_SECONDS = 0.05


def exact_cpu_seconds(pid):
    """Like cpu_seconds(), and exact enough for an idle process; without processes that it started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def no_picker(_tools, _port, _backend):
    return None


def bare(tools, port, backend):
    """Says always the same endpoint: what ext_proc costs by itself."""
    return [tools["bare_picker"], port, f"127.0.0.1:{backend.ports[0]}"]


def kvasir(tools, port, backend):
    return [tools["kvasir"], "epp", "--endpoints", ",".join(f"127.0.0.1:{port}" for port in backend.ports),
            "--config-file", HERE / "kvasir.yaml", "--host", "127.0.0.1", "--grpc-port", port, "--grpc-health-port", free_port(),
            "--metrics-port", free_port(), "--secure-serving=false", "--threads", 1,
            "--health-interval", SCRAPE_SECONDS, *tools["flags"], *tools.get("kv_flags", [])]


def off(tools, port, backend):
    """The same kvasir without KV events."""
    return kvasir(tools | {"kv_flags": []}, port, backend)


def old(tools, port, backend):
    """An older kvasir, without KV events."""
    return off(tools | {"kvasir": tools["old"]}, port, backend)


PICKERS = {"none": no_picker, "bare": bare, "kvasir": kvasir, "off": off, "old": old}


class Front:
    """One Envoy of one worker thread and the picker that it asks."""

    def __init__(self, name, tools, directory, backend):
        self.name = name
        self.port, admin_port, picker_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1/completions"
        command = PICKERS[name](tools, picker_port, backend)
        if command and "--metrics-port" in command:
            self.metrics_url = f"http://127.0.0.1:{command[command.index('--metrics-port') + 1]}/metrics"
        self.picker = Child(f"picker-{name}", command, directory) if command else None
        workers = tuple(("127.0.0.1", port) for port in backend.ports)
        shape = Shape(picker=command is not None, watched=False, endpoints=workers)
        config = Path(directory) / f"envoy-{name}.json"
        config.write_text(json.dumps(configuration(shape, self.port, admin_port, [picker_port])))
        self.envoy = Child(f"envoy-{name}", [tools["envoy"], "-c", config, "--concurrency", 1, "--use-dynamic-base-id",
                                             "-l", "warning"], directory)

    def children(self):
        return [child for child in (self.envoy, self.picker) if child]

    def alive(self):
        return all(child.alive() for child in self.children())

    def cpu_seconds(self):
        """(Envoy's, the picker's)"""
        return self.envoy.cpu_seconds(), self.picker.cpu_seconds() if self.picker else 0.0

    def idle_seconds(self):
        """The picker's, for comparison with a later value."""
        return exact_cpu_seconds(self.picker.process.pid)

    def stop(self):
        for child in self.children():
            child.stop()

    def wait_ready(self, body):
        deadline = time.monotonic() + START_SECONDS
        problem = "no answer"
        while time.monotonic() < deadline:
            if not self.alive():
                raise StartFailed("a process of it ended")
            problem = wrong_reply(self.port, body)
            if problem is None:
                return
            time.sleep(0.1)
        raise StartFailed(f"not ready after {START_SECONDS} s: {problem}")
