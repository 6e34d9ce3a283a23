"""Exact knowledge of the workers' caches: an engine beside each worker, which publishes KV events as that worker's engine would.

The workers of the benchmark answer at once and have no cache. What would be in it is computed, and announced, by a
`kvasir worker` for each of them, to which prompts are sent before they are measured: each family of prompts to one engine.
"""

import http.client
import json
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from processes import Child, free_port
from vocabulary import token_ids, write_tokenizer
from workload import FAMILIES, MODEL, body, load_name, prompts

BLOCK_TOKENS = 16
ENGINE_BLOCKS = 400_000
READY_SECONDS = 30
HEARD_SECONDS = 30
# Of the requests of one measurement, those that went by the byte estimate: engines and tokenizers may be late under load.
UNKNOWN_MOST = 0.01
FIELD = "x-cache-prefix-length"


class NotExact(Exception):
    pass


def start(tools, directory, stack, backend, sizes, progress):
    """Engines that have computed every prompt of these sizes; `stack` stops them."""
    engines = Engines(tools["kvasir"], Path(directory), backend.ports)
    stack.callback(engines.stop)
    for tokens in sizes:
        progress(f"{tokens} tokens: engines compute the prompts")
        engines.compute(tokens)
    return engines


class Engines:
    """One for each worker. Their events are at the addresses that flags() names."""

    def __init__(self, kvasir, directory, workers):
        self.directory = directory
        write_tokenizer(directory / "tokenizer.json")
        self.ports = [free_port() for _ in workers]
        self.workers = [f"127.0.0.1:{port}" for port in workers]
        self.blocks = [set() for _ in workers]
        self.children = [Child(f"engine-{worker}", self._command(kvasir, port, worker), directory)
                         for port, worker in zip(self.ports, workers)]

    def _command(self, kvasir, port, worker):
        events = {"enable_kv_cache_events": True, "endpoint": f"ipc://{self.directory}/kv-{worker}",
                  "replay_endpoint": f"ipc://{self.directory}/replay-{worker}"}
        return [kvasir, "worker", "--host", "127.0.0.1", "--port", port, "--served-model-name", MODEL,
                "--block-size", BLOCK_TOKENS, "--num-gpu-blocks-override", ENGINE_BLOCKS, "--max-model-len", "1m",
                "--time-scale", 1e6, "--kv-events-config", json.dumps(events)]

    def flags(self):
        """What gateway and picker are told."""
        return ["--kv-events", f"ipc://{self.directory}/kv-PORT", "--kv-replay", f"ipc://{self.directory}/replay-PORT",
                "--tokenizer", self.directory / "tokenizer.json"]

    def stop(self):
        for child in self.children:
            child.stop()

    def compute(self, tokens):
        """Has the prompts of that size computed, so that their blocks are announced."""
        for number, words in enumerate(prompts(tokens)):
            engine = number % FAMILIES % len(self.ports)
            ids = token_ids(words)
            _wait_until(lambda: _completes(self.ports[engine], body(ids)), READY_SECONDS, f"engine {engine} computes no prompt")
            chain = 0
            for end in range(BLOCK_TOKENS, len(ids) + 1, BLOCK_TOKENS):
                chain = hash((chain, *ids[end - BLOCK_TOKENS:end]))
                self.blocks[engine].add(chain)

    def wait_until_known(self, metrics_url):
        """Until the gateway or picker whose metrics these are has heard of all blocks."""
        def known():
            held = metric(metrics_url, "kvasir_kv_blocks", "pod")
            return all(held.get(worker, 0) >= len(blocks) for worker, blocks in zip(self.workers, self.blocks))
        _wait_until(known, HEARD_SECONDS, "it does not hear what the engines have")

    def check_answers(self, front, tokens, kind):
        """Sends each prompt once: whoever is picked has all of it. A gateway says so in its answers, a picker in its metrics."""
        lengths, said, before = [], [], _picked_cached_tokens(front.metrics_url)
        for words in prompts(tokens):
            ids = token_ids(words)
            lengths.append((len(ids) - 1) // BLOCK_TOKENS * BLOCK_TOKENS)
            said.append(int(_answer_fields(front.port, body(ids if kind == "ids" else " ".join(words))).get(FIELD, 0)))
        found = sum(said) or _picked_cached_tokens(front.metrics_url) - before
        if found != sum(lengths):
            raise NotExact(f"{load_name(tokens, kind)}: {found:,.0f} tokens are said to be cached, not {sum(lengths):,}")


def _picked_cached_tokens(metrics_url):
    return sum(metric(metrics_url, "kvasir_epp_picked_cached_tokens_total").values())


@contextmanager
def watch(engines, knowing, tokens, kind):
    """Checks before what is measured that `knowing` knows what it is to know, and behind it whether it did: verdict is
    (passed, sentence). None of it without engines."""
    exact = SimpleNamespace(verdict=None)
    if not engines or not knowing:
        yield exact
        return
    engines.wait_until_known(knowing.metrics_url)
    engines.check_answers(knowing, tokens, kind)
    before = token_counts(knowing.metrics_url)
    yield exact
    exact.verdict = verdict(load_name(tokens, kind), before, token_counts(knowing.metrics_url))


def token_counts(metrics_url):
    """(requests whose tokens were known, requests whose tokens were not)"""
    return tuple(sum(metric(metrics_url, f"kvasir_prompt_tokens_{which}_total").values()) for which in ("known", "unknown"))


def verdict(what, before, after):
    """(passed, sentence) of two token_counts()."""
    known, unknown = (new - old for old, new in zip(before, after))
    part = unknown / max(1, known + unknown)
    return (known > 0 and part <= UNKNOWN_MOST,
            f"{what}: the tokens of {known:,.0f} requests were known, of {unknown:,.0f} they were not (limit {UNKNOWN_MOST:.0%})")


def metric(url, name, label=None):
    """{value of the label, or the whole line's beginning: number}"""
    values = {}
    with urllib.request.urlopen(url, timeout=10) as response:
        for line in response.read().decode().splitlines():
            key, _, value = line.rpartition(" ")
            if key.partition("{")[0] != name:
                continue
            if label:
                key = key.partition(f'{label}="')[2].partition('"')[0]
            values[key] = values.get(key, 0) + float(value)
    return values


def _completes(port, text):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/completions", text, {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False


def _answer_fields(port, text):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/completions", text, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return {name.lower(): value for name, value in response.getheaders()}


def _wait_until(condition, seconds, problem):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotExact(problem)
        time.sleep(0.05)
