"""The gateways under test and the workers behind them: how each is started."""

import hashlib
import http.client
import json
import time
from pathlib import Path

from processes import Child, free_port
from workload import REPLY

HERE = Path(__file__).resolve().parent
WORKERS = 8
START_SECONDS = 60

# One worker thread for the Rust gateways: their runtime (tokio) reads this variable.
ONE_THREAD = {"TOKIO_WORKER_THREADS": "1"}


def fill(template, directory, name, **values):
    """Writes a configuration file from a template: @KEY@ becomes the value of KEY."""
    text = (HERE / template).read_text()
    for key, value in {"DIR": directory, **values}.items():
        text = text.replace(f"@{key}@", str(value))
    path = Path(directory) / name
    path.write_text(text)
    return path


def nginx_command(tools, directory, config):
    return [tools["nginx"], "-p", directory, "-e", "stderr", "-c", config]


class Backend:
    """Eight ports that answer completions at once."""

    def __init__(self, tools, directory):
        self.ports = [free_port() for _ in range(WORKERS)]
        listen = "\n".join(f"    listen 127.0.0.1:{port};" for port in self.ports)
        config = fill("backend.conf.in", directory, "backend.conf", LISTEN=listen, REPLY=REPLY)
        self.child = Child("backend", nginx_command(tools, directory, config), directory)
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]


def nginx(tools, directory, port, backend):
    servers = "\n".join(f"    server 127.0.0.1:{p};" for p in backend.ports)
    return nginx_command(tools, directory, fill("nginx.conf.in", directory, "nginx.conf", PORT=port, SERVERS=servers)), {}


def haproxy(tools, directory, port, backend):
    servers = "\n".join(f"  server worker{i} 127.0.0.1:{p}" for i, p in enumerate(backend.ports))
    return [tools["haproxy"], "-db", "-f", fill("haproxy.cfg.in", directory, "haproxy.cfg", PORT=port, SERVERS=servers)], {}


def smg(tools, directory, port, backend):
    return [tools["smg"], "launch", "--host", "127.0.0.1", "--port", port, "--prometheus-host", "127.0.0.1",
            "--prometheus-port", free_port(), "--worker-urls", *backend.urls, "--policy", "cache_aware",
            "--disable-health-check", "--log-level", "warn"], ONE_THREAD


def vllm_router(tools, directory, port, backend):
    return [tools["vllm-router"], "--host", "127.0.0.1", "--port", port, "--prometheus-host", "127.0.0.1",
            "--prometheus-port", free_port(), "--worker-urls", *backend.urls, "--policy", "cache_aware",
            "--log-level", "warning"], ONE_THREAD


def kvasir(tools, directory, port, backend):
    return [tools["kvasir"], "gateway", "--port", port, "--worker-urls", ",".join(backend.urls), "--policy", "kv",
            "--threads", "1", *tools.get("kv_flags", [])], {}


def off(tools, directory, port, backend):
    """The same kvasir without KV events."""
    return kvasir(tools | {"kv_flags": []}, directory, port, backend)


def keys(tools, directory, port, backend):
    """The same kvasir that asks for a key, keeps a tenant within limits, and writes an access log."""
    file, digest = Path(directory) / "keys.yaml", hashlib.sha256(KEY.encode()).hexdigest()
    file.write_text(f"- name: bench\n  keys: [sha256:{digest}]\n  requests-per-minute: 1000000000\n  tokens-per-minute: 1000000000000\n"
                    "  concurrency: 100000\n")
    more = ["--keys", file, "--access-log", Path(directory) / "access.log"]
    return kvasir(tools | {"kv_flags": [*tools.get("kv_flags", []), *more]}, directory, port, backend)


def old(tools, directory, port, backend):
    """An older kvasir, without KV events."""
    return off({"kvasir": tools["old"]}, directory, port, backend)


CONTENDERS = {"nginx": nginx, "haproxy": haproxy, "smg": smg, "vllm-router": vllm_router, "kvasir": kvasir, "keys": keys, "off": off, "old": old}
KEY = "sk-kvasir-of-the-benchmark-which-is-as-long-as-real-ones"
# What clients say to whom.
FIELDS = {"keys": {"Authorization": f"Bearer {KEY}"}}
# They refuse prompts of token ids.
TEXT_ONLY = ("smg", "vllm-router")


class StartFailed(Exception):
    pass


class Contender:
    """One running gateway."""

    def __init__(self, name, tools, directory, backend):
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1/completions"
        self.metrics_url = f"http://127.0.0.1:{self.port}/metrics"
        self.fields = FIELDS.get(name, {})
        command, environment = CONTENDERS[name](tools, directory, self.port, backend)
        self.child = Child(name, command, directory, environment)

    def wait_ready(self, body):
        """Waits until the gateway passes a completion through: the Rust gateways register workers after they listen."""
        deadline = time.monotonic() + START_SECONDS
        problem = "no answer"
        while time.monotonic() < deadline:
            if not self.child.alive():
                raise StartFailed(f"it exited with status {self.child.process.returncode}")
            problem = wrong_reply(self.port, body, self.fields)
            if problem is None:
                return
            time.sleep(0.1)
        raise StartFailed(f"not ready after {START_SECONDS} s: {problem}")


def wrong_reply(port, body, fields=None):
    """Sends one completion, with `fields`; returns what is wrong with the reply, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"} | (fields or {}))
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            return f"status {response.status}: {text[:200]!r}"
        return None if json.loads(text) == json.loads(REPLY) else f"unexpected reply {text[:200]!r}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
