"""Workers, sidecars and a Redis as processes of a test, and what a client sees of them."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60
ANSWER_SECONDS = 60
CLOSE_SECONDS = 5
SEED = 11
HOST = "127.0.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Answer:
    """What became of a request: its status, its text, and whether all of it came."""

    def __init__(self, status, body=b"", whole=True, problem=""):
        self.status, self.body, self.whole, self.problem = status, body, whole, problem

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def is_stream(self):
        return self.body.startswith(b"data:")

    def events(self):
        return [event[5:].strip() for event in self.body.decode().split("\n\n") if event.startswith("data:")]

    def usage(self):
        """How many tokens there were. Precondition: a stream was asked for it."""
        last = json.loads(self.events()[-2]) if self.is_stream() else self.json()
        return last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]

    def texts(self):
        """Per choice: text and finish reason. None: this is no complete answer."""
        if self.status != 200 or not self.whole:
            return None
        if not self.is_stream():
            answer = self.json()
            if not answer or "choices" not in answer:
                return None
            return sorted((c["index"], c["message"]["content"] if "message" in c else c["text"], c["finish_reason"])
                          for c in answer["choices"])
        events = self.events()
        if not events or events[-1] != "[DONE]":
            return None
        texts, reasons = {}, {}
        for event in map(json.loads, events[:-1]):
            if "error" in event:
                return None
            for choice in event.get("choices", []):
                piece = choice["delta"].get("content") or "" if "delta" in choice else choice["text"]
                texts[choice["index"]] = texts.get(choice["index"], "") + piece
                reasons[choice["index"]] = choice.get("finish_reason") or reasons.get(choice["index"])
        return sorted((index, text, reasons[index]) for index, text in texts.items())


def post(port, path, body, headers=None, timeout=ANSWER_SECONDS):
    """Never raises for what a peer does: status 0 is a connection that gave no answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    status, received = 0, bytearray()
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        status = response.status
        while piece := response.read1(65536):
            received += piece
        # read1() takes a connection that closes early for the end.
        if response.length not in (None, 0):
            return Answer(status, bytes(received), False, "the answer breaks off")
        return Answer(status, bytes(received))
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return Answer(status, bytes(received), False, repr(problem))
    finally:
        connection.close()


def get(port, path, timeout=10):
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


class Process:
    """A program that a test starts, stops, kills and starts again under the same arguments."""

    def __init__(self, name, arguments, environment=None):
        self.name, self.arguments, self.environment = name, arguments, environment or {}
        self.log = Path(tempfile.mkstemp(prefix=f"kvasir-pd-{name}-")[1])
        self.process = None
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment})

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()  # who is killed leaves shared memory behind, until the next worker starts
            try:
                self.process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.log.unlink(missing_ok=True)

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_until(self, ready):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if ready():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not come up:\n{self.output()[-4000:]}")

    def resident_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text()).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Server(Process):
    def __init__(self, name, port, arguments, environment=None):
        self.port = port
        super().__init__(name, arguments, environment)

    def wait_ready(self):
        self.wait_until(lambda: get(self.port, "/health")[0] == 200)

    def post(self, path, body, headers=None):
        return post(self.port, path, body, headers)

    def metric(self, name):
        """The sum over a metric's series; 0: there is none."""
        page = get(self.port, "/metrics")[1]
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                   if line.startswith(name + "{") or line.startswith(name + " "))


class Worker(Server):
    """`way`: how blocks travel; None: an aggregated worker."""

    def __init__(self, kvasir, name, way=None, policy="fail", flags=(), time_scale=1000, environment=None):
        port = free_port()
        self.side_port, self.kv_port = free_port(), free_port()
        arguments = [kvasir, "worker", "--host", HOST, "--port", str(port), "--seed", str(SEED),
                     "--time-scale", str(time_scale), "--shutdown-timeout", "0", *flags]
        if way is None:
            arguments.append("--kv-bytes")
        else:
            config = {"kv_connector": way.connector, "kv_role": "kv_both", "kv_load_failure_policy": policy,
                      "kv_connector_extra_config": way.extra_of(name)}
            if way.kind == "p2p":
                role = {"prefiller": "kv_producer", "decoder": "kv_consumer"}.get(name.partition("-")[0], "kv_both")
                config.update({"kv_ip": HOST, "kv_port": self.kv_port, "kv_role": role})
            arguments += ["--kv-transfer-config", json.dumps(config)]
        super().__init__(name, port, arguments, {"VLLM_NIXL_SIDE_CHANNEL_HOST": HOST,
                                                 "VLLM_NIXL_SIDE_CHANNEL_PORT": str(self.side_port),
                                                 **(environment or {})})

    def at_rest(self):
        return (self.metric("vllm:kv_cache_usage_perc") == 0 and self.metric("kvasir_kv_offers") == 0
                and self.metric("vllm:num_requests_running") == 0 and self.metric("vllm:num_requests_waiting") == 0)

    def kv_blocks(self):
        page = get(self.port, "/metrics")[1]
        return int(re.search(r'num_gpu_blocks="(\d+)"', page).group(1))

    def written_kv_blocks(self):
        """What its KV blocks hold, of a worker that shares its memory ("transport": "shm")."""
        maps = Path(f"/proc/{self.process.pid}/maps").read_text()
        memory = Path(re.search(r"/dev/shm/kvasir-\S+", maps).group()).read_bytes()
        size = len(memory) // self.kv_blocks()
        blocks = [memory[at:at + size] for at in range(0, len(memory), size)]
        return [block for block in blocks if block != bytes(size)]


class Sidecar(Server):
    def __init__(self, kvasir, name, decoder_port, flags=()):
        port = free_port()
        super().__init__(name, port, [kvasir, "sidecar", "--secure-proxy=false", "--host", HOST, "--port", str(port), "--model-server-port",
                                      str(decoder_port), "--threads", "1", *flags])


class Gateway(Server):
    def __init__(self, kvasir, name, prefill_ports, decode_ports, flags=()):
        port = free_port()
        urls = [",".join(f"http://{HOST}:{port}" for port in ports) for ports in (prefill_ports, decode_ports)]
        super().__init__(name, port, [kvasir, "gateway", "--host", HOST, "--port", str(port), "--prefill-urls", urls[0],
                                      "--decode-urls", urls[1], "--threads", "1", *flags])


class PdProxy(Server):
    """`prefillers`, `decoders`: (port, how request ids name it) of each."""

    def __init__(self, kvasir, name, backend, prefillers, decoders, flags=()):
        port = free_port()
        arguments = [kvasir, "pd-proxy", "--backend", backend, "--host", HOST, "--port", str(port), "--threads", "1",
                     "--access-log", "false", "--registration-port", "0"]
        for role, workers in (("prefill", prefillers), ("decode", decoders)):
            for port_of, named in workers:
                arguments += [f"--{role}", f"http://{HOST}:{port_of}"]
                if named is not None:
                    arguments += [f"--{role}-name", named]
        super().__init__(name, port, [*arguments, *flags])


class Redis(Process):
    """Debian's redis-server, keeping nothing on a disk."""

    @staticmethod
    def program():
        return shutil.which("redis-server")

    def __init__(self):
        self.port = free_port()
        super().__init__("redis", [self.program(), "--bind", HOST, "--port", str(self.port), "--save", "",
                                   "--appendonly", "no"])
        self.wait_until(lambda: self.command(b"PING") == b"PONG")

    def command(self, *arguments):
        """One command; the answer as bytes, a number or a list."""
        try:
            with socket.create_connection((HOST, self.port), timeout=10) as connection:
                connection.sendall(b"*%d\r\n" % len(arguments)
                                   + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in arguments))
                return self.read(connection.makefile("rb"))
        except OSError:
            return None

    def read(self, stream):
        line = stream.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            if int(rest) < 0:
                return None
            value = stream.read(int(rest))
            stream.read(2)
            return value
        if kind == b"*":
            return [self.read(stream) for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest
