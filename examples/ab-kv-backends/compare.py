#!/usr/bin/env python3
"""Sends the same prompts by both backends of a running fleet, in turn, and prints one table.

    kvasir up -f examples/ab-kv-backends --log-dir logs        # in another terminal
    examples/ab-kv-backends/compare.py logs

Transfer times are those of the engines (kvasir_kv_transfer_seconds), from their pages before and after.
"""
import argparse
import http.client
import json
import pathlib
import random
import re
import statistics
import sys
import time
import urllib.parse

BACKENDS = {"nvlink": ("vllm-prefill-p2p", "vllm-decode-p2p"), "fs": ("vllm-prefill-fs", "vllm-decode-fs")}
WORDS = "river stone quiet lantern seven orchard a of winter salt".split()


def processes(folder):
    """Name -> URL, as `kvasir up` wrote them."""
    try:
        lines = (pathlib.Path(folder) / "processes.tsv").read_text().splitlines()
    except OSError as problem:
        sys.exit(f"compare.py: {problem}: name the --log-dir of a running `kvasir up -f examples/ab-kv-backends`")
    return dict(line.split("\t")[:2] for line in lines)


def connect(url):
    place = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(place.hostname, place.port, timeout=60)


def page(url):
    connection = connect(url)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def total(urls, name):
    pattern = re.compile(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", re.MULTILINE)
    return sum(float(value) for url in urls for value in pattern.findall(page(url)))


def model_of(gateway):
    connection = connect(gateway)
    connection.request("GET", "/v1/models")
    return json.load(connection.getresponse())["data"][0]["id"]


def ask(gateway, model, prompt, backend):
    """Seconds to the first token, and the answer's id."""
    connection = connect(gateway)
    body = json.dumps({"model": model, "prompt": prompt, "max_tokens": 8, "stream": True})
    headers = {"Content-Type": "application/json", **({"x-kv-backend": backend} if backend else {})}
    begin = time.monotonic()
    connection.request("POST", "/v1/completions", body, headers)
    answer = connection.getresponse()
    line = answer.readline()
    took = time.monotonic() - begin
    if answer.status != 200:
        sys.exit(f"compare.py: {backend or 'default'}: {answer.status} {line.decode()}{answer.read().decode()}")
    answer.read()
    return took, json.loads(line.removeprefix(b"data: "))["id"]


def measure(fleet, gateway, model, backend, prompts):
    workers = [fleet[name] for name in BACKENDS[backend]]
    names = ("kvasir_kv_transfer_seconds_sum", "kvasir_kv_transfer_seconds_count", "kvasir_kv_transfer_bytes_total",
             "vllm:external_prefix_cache_hits_total")
    before = [total(workers, name) for name in names]
    answers = [ask(gateway, model, prompt, backend) for prompt in prompts]
    seconds, transfers, size, tokens = (total(workers, name) - old for name, old in zip(names, before))
    return {"ttft": statistics.mean(took for took, _ in answers), "id": answers[-1][1], "transfers": transfers,
            "transfer": seconds / transfers if transfers else float("nan"), "bytes": size, "tokens": tokens}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", help="the --log-dir of `kvasir up`")
    parser.add_argument("--requests", type=int, default=20, help="by each backend")
    parser.add_argument("--words", type=int, default=400, help="of a prompt; a word is about four tokens")
    args = parser.parse_args()
    fleet = processes(args.logs)
    gateway = fleet["gateway"]
    model = model_of(gateway)
    print(f"{'x-kv-backend':13} {'requests':>8} {'TTFT ms':>8} {'transfers':>9} {'transfer ms':>11} {'tokens':>8} {'MB':>8}  id")
    for round_, backend in enumerate(BACKENDS):
        words = random.Random(round_)
        prompts = [" ".join(words.choices(WORDS, k=args.words)) for _ in range(args.requests)]
        run = measure(fleet, gateway, model, backend, prompts)
        print(f"{backend:13} {args.requests:8} {1e3 * run['ttft']:8.1f} {run['transfers']:9.0f} {1e3 * run['transfer']:11.2f} "
              f"{run['tokens']:8.0f} {run['bytes'] / 1e6:8.2f}  {run['id']}")
    _, without = ask(gateway, model, "Hello", "")
    print(f"{'(no header)':13} {1:8} {'':8} {'':9} {'':11} {'':8} {'':8}  {without}")


if __name__ == "__main__":
    main()
