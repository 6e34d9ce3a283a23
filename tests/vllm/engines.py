"""Real vLLM processes; with KV events on, and everything that they publish."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import zmq

import install_vllm

BLOCK_SIZE = 32  # what vLLM's attention on CPUs needs at least
BLOCKS = 48      # few, so that it evicts
MODEL_LENGTH = 1024
HASHES = ("sha256_cbor", "sha256")  # of each: what a language-neutral fleet has, and vLLM's default
READY_SECONDS = 600  # one minute on an idle machine
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_PLUGINS": "", "VLLM_CPU_KVCACHE_SPACE": "1",
               "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
# Several engines spin on few processors: who asks them, and who stands between, go first.
NICENESS = "10"
END_OF_REPLAY = b"\xff" * 8


def request(port, method, path, body=None, timeout=120):
    """(status, header fields, JSON or text of the body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"content-type": "application/json"} if payload else {})
        answer = connection.getresponse()
        text = answer.read().decode()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        try:
            return answer.status, fields, json.loads(text)
        except ValueError:
            return answer.status, fields, text
    finally:
        connection.close()


class Vllm:
    """One vLLM process with the tiny model. It works for whoever asks it on `port`."""

    def __init__(self, name, port, model, logs, arguments=(), environment=None):
        self.name = name
        self.port = port
        self.model = model
        self.log = logs / f"vllm-{name}.log"
        self.arguments = list(arguments)
        self.environment = ENVIRONMENT | (environment or {})
        self.process = None

    def start(self):
        command = ["nice", "-n", NICENESS, install_vllm.python(), "-m", "vllm.entrypoints.openai.api_server", "--model", self.model,
                   "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(self.port), "--dtype", "float32",
                   "--block-size", str(BLOCK_SIZE), "--enforce-eager", "--enable-prefix-caching",
                   "--enable-prompt-tokens-details", *self.arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, env=os.environ | self.environment, stdout=log, stderr=log,
                                            start_new_session=True)

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"vLLM ended with {self.process.returncode}; see {self.log}")
            try:
                if request(self.port, "GET", "/health", timeout=2)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.5)
        raise RuntimeError(f"vLLM was not ready in {READY_SECONDS} s; see {self.log}")

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, how)
            self.process.wait(timeout=30)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # what it left behind
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def metric(self, name):
        """The sum of its samples."""
        _, _, text = request(self.port, "GET", "/metrics")
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith((name + "{", name + " ")))


class Engine(Vllm):
    """With KV events: they come from port 1PORT, and are replayed at 2PORT, where PORT has four digits."""

    def __init__(self, number, port, model, logs):
        events = {"enable_kv_cache_events": True, "publisher": "zmq", "endpoint": f"tcp://*:1{port}",
                  "replay_endpoint": f"tcp://*:2{port}", "topic": f"kv@127.0.0.1:{port}@tiny"}
        super().__init__(number, port, model, logs,
                         ["--max-model-len", str(MODEL_LENGTH), "--prefix-caching-hash-algo", HASHES[number],
                          "--num-gpu-blocks-override", str(BLOCKS), "--kv-events-config", json.dumps(events)],
                         {"VLLM_SERVER_DEV_MODE": "1"})  # which has POST /reset_prefix_cache
        self.number = number
        self.frames = []  # (sequence, payload), since the last take()
        self.all_frames = []  # since the process began
        self.frames_in_all = 0
        self.lock = threading.Lock()
        self.heard = time.monotonic()
        self.context = zmq.Context()
        self.stopping = threading.Event()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def start(self):
        self.all_frames = []
        super().start()

    def close(self):
        self.stop()
        self.stopping.set()
        self.listener.join()
        self.context.term()

    def take(self, quiet=0.3):
        """The batches since the last take(), once none has come for `quiet` seconds."""
        while True:
            with self.lock:
                rest = self.heard + quiet - time.monotonic()
                if rest <= 0:
                    frames, self.frames = self.frames, []
                    return frames
            time.sleep(rest)

    def expect_events(self):
        """From now on: wait as long as if one had come."""
        with self.lock:
            self.heard = time.monotonic()

    def replayed(self):
        """All batches that its replay socket still has."""
        socket = self.context.socket(zmq.DEALER)
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:2{self.port}")
        socket.send_multipart([b"", (0).to_bytes(8, "big")])
        frames = []
        try:
            while socket.poll(5000):
                sequence, payload = socket.recv_multipart()[-2:]
                if sequence == END_OF_REPLAY:
                    return frames
                frames.append((int.from_bytes(sequence, "big"), payload))
            raise RuntimeError("the replay did not end")
        finally:
            socket.close()

    def _listen(self):
        socket = self.context.socket(zmq.SUB)
        socket.linger = 0
        socket.subscribe(b"")
        socket.connect(f"tcp://127.0.0.1:1{self.port}")
        while not self.stopping.is_set():
            if not socket.poll(100):
                continue
            _, sequence, payload = socket.recv_multipart()
            with self.lock:
                self.heard = time.monotonic()
                frame = (int.from_bytes(sequence, "big"), payload)
                self.frames.append(frame)
                self.all_frames.append(frame)
                self.frames_in_all += 1
        socket.close()


def make_model(folder):
    """The tiny model of record.py, made once."""
    model = pathlib.Path(folder) / "model"
    if not (model / "config.json").exists():
        record = pathlib.Path(__file__).parent / "record.py"
        subprocess.run([install_vllm.python(), record, "--make-model", model], check=True, env=os.environ | ENVIRONMENT)
    return str(model)
