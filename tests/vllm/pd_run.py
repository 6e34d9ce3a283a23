#!/usr/bin/env python3
"""Prefills on one real vLLM and decodes on another, and holds every answer against one vLLM that does both.

  tests/vllm/pd_run.py                        200 requests each way
  tests/vllm/pd_run.py --only epp             one way: epp, gateway or fs
  tests/vllm/pd_run.py --record FILE          and writes what prefill workers handed over (kv_handoff_test replays it)

epp:      Envoy, `kvasir epp` and `kvasir sidecar` in front of two prefill and one decode vLLM 0.32.0 with NixlConnector
gateway:  `kvasir gateway` alone in front of three such vLLM
fs:       `kvasir pd-proxy --backend fs` in front of one prefill and one decode vLLM with ExampleConnector

Each way starts engines of its own. Half way through epp and gateway one prefill worker is killed: every text stays what it was.
That blocks really came from elsewhere is what the decode worker's own metrics say. Exits with 1 when a check failed; where vLLM
is not installed nothing is tried, and the command that installs it is printed (exit 0, or 1 with --strict). Takes a quarter of
an hour and 13 GB of memory.
"""
import argparse
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests/envoy")]

import install_vllm  # noqa: E402 (our own folders first)
import record  # noqa: E402

MEMORY_GIB = 12.5
MODEL_LENGTH = 4096
PROMPT_TOKENS_MAX = 1900
BATCHED_TOKENS = 2048  # vLLM's own default
REQUESTS = 200
# Three vLLM share the processors of one machine here: their /health may take seconds, and /metrics read twenty times a second takes
# most of a processor.
PATIENCE = ["--health-timeout", "20s"]
EPP_PATIENCE = [*PATIENCE, "--refresh-metrics-interval", "1s"]
GATEWAY_PATIENCE = [*PATIENCE, "--refresh-metrics-interval-ms", "1000"]
# An engine may stall for longer than the lease that vLLM gives otherwise (30 s), and its decode engine then reads blocks that hold
# another prompt.
LEASE_SECONDS = 900
READ_TOO_LATE = "Potentially invalid KV blocks"
AT_ONCE = 4

DISAGGREGATED = """apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- {type: disagg-profile-handler, parameters: {deciders: {prefill: always-disagg-pd-decider}}}
- {type: always-disagg-pd-decider}
- {type: decode-filter}
- {type: prefill-filter}
- {type: queue-scorer}
- {type: max-score-picker}
schedulingProfiles:
- {name: decode, plugins: [{pluginRef: decode-filter}, {pluginRef: queue-scorer}, {pluginRef: max-score-picker}]}
- {name: prefill, plugins: [{pluginRef: prefill-filter}, {pluginRef: queue-scorer}, {pluginRef: max-score-picker}]}
"""


class Workload:
    """Requests whose answers are known beforehand: no chance in them, of every API and kind of prompt."""

    def __init__(self, seed=23):
        self.random = random.Random(seed)
        self.words = sorted({word for line in itertools.islice(record.training_text(), 200) for word in line.split()})

    def text(self, words):
        return " ".join(self.random.choice(self.words) for _ in range(words))

    def body(self):
        tokens = self.random.choice([20, 31, 32, 33, 64, 65, 200, 700, PROMPT_TOKENS_MAX])
        body = {"model": "tiny", "max_tokens": self.random.choice([1, 2, 12, 24]), "temperature": 0, "ignore_eos": True}
        if self.random.random() < 0.4:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        kind = self.random.choice(["ids", "ids", "text", "messages"])
        if kind == "ids":
            return body | {"prompt": [self.random.randrange(5, 2000) for _ in range(tokens)]}
        if kind == "text":
            return body | {"prompt": self.text(tokens // 4 + 1)}
        return body | {"messages": [{"role": "user", "content": self.text(tokens // 8 + 1)}]}


def ask(port, body):
    """(status, text, id, whole): `whole` is False when the answer was cut."""
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read().decode()
    except (http.client.HTTPException, OSError) as error:
        return 0, f"{type(error).__name__}: {error}", "", False
    finally:
        connection.close()
    if answer.status != 200:
        return answer.status, raw, "", True
    if not body.get("stream"):
        value = json.loads(raw)
        return 200, text_of(value["choices"][0], "message"), value["id"], True
    events = [line[6:] for line in raw.splitlines() if line.startswith("data: ")]
    parsed = [json.loads(event) for event in events if event != "[DONE]"]
    if any("error" in event for event in parsed):
        return 500, raw, "", True
    text = "".join(text_of(choice, "delta") for event in parsed for choice in event["choices"])
    return 200, text, parsed[0]["id"] if parsed else "", events[-1:] == ["[DONE]"]


def text_of(choice, member):
    return choice["text"] if "text" in choice else choice[member].get("content") or ""


class Child:
    def __init__(self, name, command, folder, port, path="/health"):
        self.name = name
        self.port = port
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        self._wait(path)

    def _wait(self, path):
        import engines as engines_module
        for _ in range(150):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended:\n{self.log.read_text()}")
            with contextlib.suppress(OSError):
                if engines_module.request(self.port, "GET", path, timeout=2)[0] == 200:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"{self.name} was not ready:\n{self.log.read_text()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    """The processes of a way, and what its answers are held against."""

    def __init__(self, arguments, folder, engines_module):
        self.kvasir = arguments.kvasir
        self.folder = folder
        self.engines = engines_module
        self.model = engines_module.make_model(folder)
        workload = Workload()
        self.bodies = [workload.body() for _ in range(arguments.requests)]
        self.references = []
        self.failures = []
        self.records = bool(arguments.record)
        self.handoffs = []

    def free_port(self):
        from envoy_process import free_port
        return free_port()

    def vllm(self, stack, name, arguments=(), environment=None):
        engine = self.engines.Vllm(name, self.free_port(), self.model, self.folder,
                                   ["--max-model-len", str(MODEL_LENGTH), "--max-num-batched-tokens", str(BATCHED_TOKENS),
                                    "--prefix-caching-hash-algo", "sha256_cbor", *arguments], environment)
        stack.callback(engine.stop)
        engine.start()
        return engine

    def nixl(self, stack, name):
        config = {"kv_connector": "NixlConnector", "kv_role": "kv_both", "kv_buffer_device": "cpu", "kv_load_failure_policy": "recompute",
                  "kv_connector_extra_config": {"kv_lease_duration": LEASE_SECONDS}}
        return self.vllm(stack, name, ["--kv-transfer-config", json.dumps(config)],
                         {"VLLM_NIXL_SIDE_CHANNEL_HOST": "127.0.0.1", "VLLM_NIXL_SIDE_CHANNEL_PORT": str(self.free_port()),
                          "UCX_TLS": "tcp,shm,self"})

    def example(self, stack, name, store):
        config = {"kv_connector": "ExampleConnector", "kv_role": "kv_both",
                  "kv_connector_extra_config": {"shared_storage_path": str(store)}}
        return self.vllm(stack, name, ["--kv-transfer-config", json.dumps(config)])

    def child(self, stack, name, command, port, path="/health"):
        child = Child(name, [self.kvasir, *command], self.folder, port, path)
        stack.callback(child.stop)
        return child

    def all_requests(self, port, half_way=None):
        """Every body, some at once; `half_way` is called when half of them are answered."""
        done = 0
        lock = threading.Lock()

        def one(body):
            nonlocal done
            answer = ask(port, body)
            with lock:
                done += 1
                call = done == len(self.bodies) // 2
            if call and half_way:
                half_way()
            return answer

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(one, self.bodies))

    def reference(self):
        with contextlib.ExitStack() as stack:
            engine = self.vllm(stack, "aggregated")
            engine.wait_until_ready()
            self.references = self.all_requests(engine.port)
        bad = [answer for answer in self.references if answer[0] != 200 or not answer[3]]
        if bad:
            raise RuntimeError(f"the vLLM that does both: {bad[0]}")

    def hold(self, way, answers, errors_allowed):
        """Each answer is the reference's; an honest error where a worker was killed."""
        different = errors = 0
        for body, (status, text, _, whole), reference in zip(self.bodies, answers, self.references):
            if status == 200 and whole and text == reference[1]:
                continue
            if status == 200 and whole:
                different += 1
                self.failures.append(f"{way}: another text: {text[:200]!r} instead of {reference[1][:200]!r} for {str(body)[:200]}")
            else:
                errors += 1
                print(f"{way}: {status} {text[:300]}")
        if errors > errors_allowed:
            self.failures.append(f"{way}: {errors} errors")
        print(f"{way}: {len(answers)} requests, {different} texts differ, {errors} errors")

    def hold_transfers(self, way, decode, least_share=0.5):
        """What the decode worker itself, which has answered nothing else, says of transfers."""
        names = ("vllm:external_prefix_cache_hits_total", "vllm:external_prefix_cache_queries_total", "vllm:nixl_xfer_time_seconds_count",
                 "vllm:nixl_bytes_transferred_sum", "vllm:nixl_num_failed_transfers_total")
        values = {name: decode.metric(name) for name in names}
        print(f"{way}: decode says " + ", ".join(f"{name.removeprefix('vllm:')} {value:.0f}" for name, value in values.items()))
        hits, queries = values[names[0]], values[names[1]]
        if not queries or hits < least_share * queries:
            self.failures.append(f"{way}: only {hits:.0f} of {queries:.0f} tokens came from elsewhere")

    def hold_leases(self, way, prefills):
        """A text that differs is vLLM's own doing when a prefill engine says that blocks were read after their lease."""
        late = sum(engine.log.read_text(errors="replace").count(READ_TOO_LATE) for engine in prefills)
        if late:
            self.failures.append(f"{way}: {late} handoffs were read after their lease of {LEASE_SECONDS} s: this machine is too slow")

    def hold_too_long(self, port):
        """ExampleConnector would store the beginning of this prompt only, and its decode engine end by that."""
        status, text, _, _ = ask(port, {"model": "tiny", "prompt": list(range(5, 5 + BATCHED_TOKENS + 500)), "max_tokens": 1})
        print(f"fs: a prompt of {BATCHED_TOKENS + 500} tokens: {status} {text[:200]}")
        if status != 400:
            self.failures.append(f"fs: a prompt that the engines cannot transfer: {status} {text[:200]}")

    def record_handoffs(self, prefill):
        """What a prefill worker answers with, of prompts of all lengths. Nobody fetches what it offers, and its engine steps without
        a pause until the leases end: nothing else can be measured afterwards."""
        params = {"do_remote_decode": True, "do_remote_prefill": False, "remote_engine_id": None, "remote_block_ids": None,
                  "remote_host": None, "remote_port": None}
        for length in (1, 20, 31, 32, 33, 64, 65, 100, 700, PROMPT_TOKENS_MAX):
            body = {"model": "tiny", "prompt": list(range(5, 5 + length)), "max_tokens": 1, "temperature": 0, "ignore_eos": True,
                    "kv_transfer_params": params}
            connection = http.client.HTTPConnection("127.0.0.1", prefill.port, timeout=120)
            connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            self.handoffs.append({"connector": "NixlConnector", "prompt_tokens": length, "status": answer.status,
                                  "answer": answer.read().decode()})
            connection.close()


def through_nixl(bench, way, front):
    """With engines of its own: what one way did to them is not the next one's."""
    with contextlib.ExitStack() as stack:
        prefills = [bench.nixl(stack, f"{way}-prefill-{i}") for i in range(2)]
        decode = bench.nixl(stack, f"{way}-decode")
        for engine in (*prefills, decode):
            engine.wait_until_ready()
        port = front(bench, stack, prefills, decode)
        answers = bench.all_requests(port, lambda: prefills[1].stop(signal.SIGKILL))
        bench.hold(way, answers, errors_allowed=0)
        bench.hold_transfers(way, decode)
        bench.hold_leases(way, prefills)
        if bench.records and not bench.handoffs:
            bench.record_handoffs(prefills[0])


def front_epp(bench, stack, prefills, decode):
    import envoy_install
    from envoy_config import Shape
    from envoy_process import Envoy, wait_for
    venv = ROOT / "build/venv-envoy"
    envoy_install.install_python(venv)
    sidecar_port, grpc, health, metrics = (bench.free_port() for _ in range(4))
    bench.child(stack, "sidecar", ["sidecar", "--secure-proxy=false", "--host", "127.0.0.1", "--port", sidecar_port, "--model-server-port", decode.port,
                                   "--on-prefill-failure", "local-decode", "--log-level", "debug"], sidecar_port)
    config = bench.folder / "disaggregated.yaml"
    config.write_text(DISAGGREGATED)
    endpoints = [f"127.0.0.1:{sidecar_port};llm-d.ai/role=decode"]
    endpoints += [f"127.0.0.1:{prefill.port};llm-d.ai/role=prefill" for prefill in prefills]
    epp = subprocess.Popen([str(word) for word in (
        bench.kvasir, "epp", "--endpoints", ",".join(endpoints), "--config-file", config, "--grpc-port", grpc, "--grpc-health-port",
        health, "--metrics-port", metrics, "--secure-serving=false", *EPP_PATIENCE)], stderr=open(bench.folder / "epp.log", "wb"))
    stack.callback(epp.wait)
    stack.callback(epp.terminate)
    wait_for(grpc, process=epp)
    envoy = Envoy(venv / "bin" / "envoy", [grpc], bench.folder, Shape())
    stack.callback(envoy.stop)
    return envoy.port


def front_gateway(bench, stack, prefills, decode):
    port = bench.free_port()
    bench.child(stack, "gateway", ["gateway", "--port", port, "--decode-urls", f"http://127.0.0.1:{decode.port}", "--prefill-urls",
                                   ",".join(f"http://127.0.0.1:{prefill.port}" for prefill in prefills),
                                   "--on-prefill-failure", "local-decode", *GATEWAY_PATIENCE], port, "/v1/models")
    return port


def through_fs(bench):
    with contextlib.ExitStack() as stack:
        store = bench.folder / "kv_cache"
        store.mkdir(exist_ok=True)
        prefill, decode = (bench.example(stack, name, store) for name in ("prefill-fs", "decode-fs"))
        for engine in (prefill, decode):
            engine.wait_until_ready()
        port = bench.free_port()
        bench.child(stack, "pd-proxy", ["pd-proxy", "--backend", "fs", "--port", port, "--prefill", f"http://127.0.0.1:{prefill.port}",
                                        "--decode", f"http://127.0.0.1:{decode.port}", "--prefill-name", "vllm-prefill-fs",
                                        "--decode-name", "vllm-decode-fs"], port)
        bench.hold_too_long(port)
        answers = bench.all_requests(port)
        bench.hold("fs", answers, errors_allowed=0)
        named = sum("___prefill_addr_vllm-prefill-fs___decode_addr_vllm-decode-fs_" in answer[2] for answer in answers)
        if named != len(answers):
            bench.failures.append(f"fs: {named} of {len(answers)} ids name their pair")
        bench.hold_transfers("fs", decode, least_share=0.3)


WAYS = {"epp": lambda bench: through_nixl(bench, "epp", front_epp),
        "gateway": lambda bench: through_nixl(bench, "gateway", front_gateway),
        "fs": through_fs}


def drive(arguments, folder, engines_module):
    bench = Bench(arguments, folder, engines_module)
    bench.reference()
    for way in arguments.only or WAYS:
        WAYS[way](bench)
    return bench


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--only", action="append", choices=WAYS, help="this way alone; may stand several times")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--record", metavar="FILE", help="write there what prefill workers handed over")
    parser.add_argument("--keep", metavar="DIR", help="model and logs go there and stay (default: a folder that is removed)")
    parser.add_argument("--strict", action="store_true", help="fail where vLLM is missing")
    arguments = parser.parse_args()
    if reason := install_vllm.why_not("three", MEMORY_GIB):
        print(f"skipped: {reason}")
        return 1 if arguments.strict else 0
    install_vllm.run_in_environment(__file__)
    import engines as engines_module  # noqa: PLC0415 (needs that environment)

    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(arguments.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="kvasir-pd-")))
        folder.mkdir(parents=True, exist_ok=True)
        bench = drive(arguments, folder.resolve(), engines_module)
        if arguments.record:
            lines = [json.dumps(line, separators=(",", ":")) + "\n" for line in bench.handoffs]
            pathlib.Path(arguments.record).write_text("".join(lines))
    for failure in bench.failures[:20]:
        print(f"FAILED: {failure}")
    print(f"{len(bench.failures)} failures")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
