#!/usr/bin/env python3
"""Holds what Kvasir knows of KV caches against two real vLLM on CPUs.

  tests/vllm/run.py                 two vLLM 0.32.0 with KV events on behind `kvasir gateway`: 85 requests one after the other
  tests/vllm/run.py --record FILE   and writes what was asked, answered and published (kv_recording_test replays it)

Before each request it is known how many tokens of it are in the cache of the worker that will get it: as many must vLLM
report (usage.prompt_tokens_details.cached_tokens), through evictions, cache salts, a reset and a restart. Two checks: the
recording, replayed through decoder, tracker and index; and the gateway's own prediction, from its header. Exits with 1 when one
failed; where vLLM is not installed nothing is tried, and the command that installs it is printed (exit 0, or 1 with
--strict). Takes three minutes and 8 GB of memory.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import install_vllm  # noqa: E402 (our own folder first)
import record  # noqa: E402

MEMORY_GIB = 8.5
TOKENS_MAX = 600  # of a prompt


def free_ports(count):
    """Four-digit ports P of which 1P and 2P are free too."""
    found = []
    for port in random.sample(range(3000, 5500), 500):
        with contextlib.ExitStack() as stack:
            try:
                for each in (port, 10000 + port, 20000 + port):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", each))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


class Gateway:
    def __init__(self, program, port, engines, logs):
        self.port = port
        self.log = logs / "gateway.log"
        urls = ",".join(f"http://127.0.0.1:{engine.port}" for engine in engines)
        command = [program, "gateway", "--port", str(port), "--worker-urls", urls, "--policy", "kv",
                   "--kv-events", "tcp://HOST:1PORT", "--kv-replay", "tcp://HOST:2PORT"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait_until_ready(self, ask):
        for _ in range(100):
            if self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended:\n{self.log.read_text()}")
            with contextlib.suppress(OSError):
                if ask(self.port, "GET", "/v1/models", timeout=2)[0] == 200:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the gateway was not ready:\n{self.log.read_text()}")

    def metric(self, ask, name, *labels):
        """The sum of its samples that have all these labels, as 'pod="127.0.0.1:8000"'."""
        _, _, text = ask(self.port, "GET", "/metrics")
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith(name + "{") and all(label in line for label in labels))

    def wait_for_batches(self, ask, engine):
        """Until it has taken everything that the engine published."""
        for _ in range(100):
            if self.metric(ask, "kvasir_kv_batches_total", f'pod="127.0.0.1:{engine.port}"') >= engine.frames_in_all:
                return
            time.sleep(0.05)
        raise RuntimeError(f"the gateway has not heard {engine.frames_in_all} batches of vLLM {engine.number}")

    def wait_until_not_stale(self, ask, engine):
        """Until it is sure again of what the engine's cache holds."""
        for _ in range(300):
            if not self.metric(ask, "kvasir_kv_knowledge", f'pod="127.0.0.1:{engine.port}"', 'state="stale"'):
                return
            time.sleep(0.1)
        raise RuntimeError(f"what vLLM {engine.number} holds stays stale")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


class Workload:
    """Requests that share beginnings, in the three ways of saying a prompt."""

    def __init__(self, seed=11):
        self.random = random.Random(seed)
        self.words = sorted({word for line in itertools.islice(record.training_text(), 200) for word in line.split()})
        self.documents = [self.text(40 + 40 * i) for i in range(3)]
        self.ids = [[self.random.randrange(5, 2000) for _ in range(64 + 64 * i)] for i in range(4)]
        self.system = [self.text(40), self.text(70)]
        self.conversation = []

    def text(self, words):
        return " ".join(self.random.choice(self.words) for _ in range(words))

    def body(self):
        body = {"model": "tiny", "max_tokens": self.random.choice([1, 2, 40]), "temperature": 0, "ignore_eos": True}
        body |= self.random.choice([self.by_ids, self.by_text, self.by_messages])()
        if self.random.random() < 0.2:
            body["cache_salt"] = self.random.choice(["tenant-a", "tenant-b"])
        return body

    def by_ids(self):
        """Whole blocks, one token less or more, or the beginning of another prompt."""
        ids = self.random.choice(self.ids)
        ids = ids[: self.random.choice([len(ids), len(ids), len(ids) - 1, 31, 33])]
        return {"prompt": ids + [self.random.randrange(5, 2000) for _ in range(self.random.choice([0, 0, 1, 20]))]}

    def by_text(self):
        return {"prompt": self.random.choice(self.documents) + self.random.choice(["", " " + self.text(8)])}

    def by_messages(self):
        """The next turn of a conversation, or the first of a new one."""
        if len(self.conversation) in (0, 5):
            self.conversation = [{"role": "system", "content": self.random.choice(self.system)}]
        self.conversation = self.conversation + [{"role": "user", "content": self.random.choice(["Hello", self.text(20)])}]
        return {"messages": self.conversation}

    def answered(self, body, answer):
        if "messages" in body:
            self.conversation = self.conversation + [{"role": "assistant", "content": answer["choices"][0]["message"]["content"]}]


class Recording:
    def __init__(self):
        self.lines = []

    def add(self, kind, engine, **more):
        self.lines.append({"kind": kind, "worker": engine.number, **more})

    def add_events(self, engine):
        for sequence, payload in engine.take():
            self.add("event", engine, seq=sequence, payload_hex=payload.hex())

    def write(self, path):
        pathlib.Path(path).write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in self.lines))


class Run:
    def __init__(self, engines, gateway, ask):
        self.engines = engines
        self.gateway = gateway
        self.ask = ask
        self.recording = Recording()
        self.workload = Workload()
        self.failures = []
        self.cached = 0
        self.hits = 0
        self.requests = 0

    def tokens_of(self, body):
        if isinstance(body.get("prompt"), list):
            return body["prompt"]
        asked = {key: body[key] for key in ("model", "prompt", "messages") if key in body}
        status, _, answer = self.ask(self.engines[0].port, "POST", "/tokenize", asked)
        if status != 200:
            raise RuntimeError(f"/tokenize: {status} {answer}")
        return answer["tokens"]

    def one_request(self):
        body = self.workload.body()
        tokens = self.tokens_of(body)
        while len(tokens) > TOKENS_MAX:  # what was generated may take many tokens when it is said again
            self.workload.conversation = []
            body = self.workload.body()
            tokens = self.tokens_of(body)
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        status, fields, answer = self.ask(self.gateway.port, "POST", path, body)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {answer}")
        engine = self.engine_of(fields["x-selected-pod"])
        usage = answer["usage"]
        if usage["prompt_tokens"] != len(tokens):
            raise RuntimeError(f"{usage} of {len(tokens)} tokens")
        self.requests += 1
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        self.cached += cached
        self.hits += cached > 0
        self.workload.answered(body, answer)
        self.recording.add("request", engine, prompt=tokens, usage=usage,
                           **({"cache_salt": body["cache_salt"]} if "cache_salt" in body else {}))
        self.check_prediction(body, fields, tokens, cached)
        engine.expect_events()
        for each in self.engines:
            self.recording.add_events(each)
            self.gateway.wait_for_batches(self.ask, each)

    def check_prediction(self, body, fields, tokens, cached):
        predicted = int(fields["x-cache-prefix-length"])
        if predicted != cached:
            how = "chat" if "messages" in body else "ids" if isinstance(body["prompt"], list) else "text"
            self.failures.append(f"request {self.requests}: {len(tokens)} tokens ({how}, salt {body.get('cache_salt')}) on "
                                 f"{fields['x-selected-pod']}: predicted {predicted}, cached {cached}")

    def some_requests(self, count):
        for _ in range(count):
            self.one_request()

    def engine_of(self, pod):
        return next(engine for engine in self.engines if pod.endswith(f":{engine.port}"))

    def reset(self):
        """Through the gateway, which sends it to one of them."""
        status, fields, answer = self.ask(self.gateway.port, "POST", "/reset_prefix_cache")
        if status != 200:
            raise RuntimeError(f"/reset_prefix_cache: {status} {answer}")
        self.recording.add("reset_prefix_cache", self.engine_of(fields["x-selected-pod"]))

    def restart(self, engine):
        engine.stop(signal.SIGKILL)
        engine.start()
        engine.wait_until_ready()
        self.gateway.wait_until_not_stale(self.ask, engine)
        self.recording.add("restart", engine)

    def check_metrics(self):
        """The gateway says itself that each prediction came true."""
        equal, more, less = (self.gateway.metric(self.ask, "kvasir_kv_predictions_total", f'found="{found}"')
                             for found in ("equal", "more", "less"))
        print(f"kvasir_kv_predictions_total: {equal:.0f} equal, {more:.0f} more, {less:.0f} less")
        if more or less or not equal:
            self.failures.append(f"the gateway's metric says that {more:.0f} predictions were too low, {less:.0f} too high")

    def check_replay(self, engine):
        """What its replay socket still has is what came live."""
        if engine.replayed() != engine.all_frames:
            self.failures.append(f"vLLM {engine.number}: replayed batches are not those that came live")


def replay(program, recording, failures):
    """The recording through decoder, tracker and index."""
    result = subprocess.run([program, "--gtest_filter=*ThatIsGiven*"], capture_output=True, text=True,
                            env=os.environ | {"KVASIR_KV_RECORDING": str(recording), "KVASIR_SOURCE_DIR": str(ROOT)})
    print("\n".join(line for line in result.stdout.splitlines() if line.startswith("KV recording")))
    if result.returncode != 0:
        failures.append(f"the recording's replay:\n{result.stdout[-4000:]}")


def drive(arguments, folder, engines_module):
    model = engines_module.make_model(folder)
    ports = free_ports(3)
    with contextlib.ExitStack() as stack:
        engines = []
        for number, port in enumerate(ports[:2]):
            engines.append(engines_module.Engine(number, port, model, folder))
            stack.callback(engines[-1].close)
            engines[-1].start()
        for engine in engines:
            engine.wait_until_ready()
        gateway = Gateway(arguments.kvasir, ports[2], engines, folder)
        stack.callback(gateway.close)
        gateway.wait_until_ready(engines_module.request)
        run = Run(engines, gateway, engines_module.request)
        run.some_requests(45)
        run.reset()
        run.some_requests(15)
        for engine in engines:
            run.check_replay(engine)
        run.restart(engines[1])
        gateway.wait_until_ready(engines_module.request)
        run.some_requests(25)
        for engine in engines:
            run.check_replay(engine)
        run.check_metrics()
        return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--replayer", default=ROOT / "build/release/tests/vllm/kv_recording_test", help="replays the recording")
    parser.add_argument("--record", metavar="FILE", help="write the recording there")
    parser.add_argument("--keep", metavar="DIR", help="model and logs go there and stay (default: a folder that is removed)")
    parser.add_argument("--strict", action="store_true", help="fail where vLLM is missing")
    arguments = parser.parse_args()
    if reason := install_vllm.why_not("two", MEMORY_GIB):
        print(f"skipped: {reason}")
        return 1 if arguments.strict else 0
    install_vllm.run_in_environment(__file__)
    import engines as engines_module  # noqa: PLC0415 (needs that environment)

    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(arguments.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="kvasir-vllm-")))
        folder.mkdir(parents=True, exist_ok=True)
        run = drive(arguments, folder, engines_module)
        recording = pathlib.Path(arguments.record or folder / "recording.jsonl")
        run.recording.write(recording)
        replay(arguments.replayer, recording, run.failures)
    for failure in run.failures:
        print(f"FAILED: {failure}")
    print(f"{run.requests} requests, {run.hits} of them with {run.cached} cached tokens, each predicted by the gateway; "
          f"{len(run.failures)} failures")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
