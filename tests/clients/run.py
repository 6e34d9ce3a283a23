#!/usr/bin/env python3
"""Runs real clients against `kvasir up`: curl, the OpenAI Python client, AIPerf and wrk; tools and schemas against a worker;
curl, h2load and openssl against a gateway with TLS and HTTP/2 (tls_and_http2.py, which can be run alone).

Starts a fleet of two fast simulated workers on a free port, runs each client, checks what it got, and stops
everything. Clients come from their own packages: curl and wrk from Debian, the others into a virtual
environment (--venv), made when it is missing. Exits with 1 when a check fails.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PYTHON_PACKAGES = ["openai", "jsonschema", "aiperf"]
READY_SECONDS = 60
CLIENT_SECONDS = 300
AIPERF_REQUESTS = 40


class CheckFailed(Exception):
    """A client got something else than it should have."""


def require(condition, what):
    if not condition:
        raise CheckFailed(what)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, **options):
    """Runs a client to its end; its output is shown only when it fails."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS, **options)
    if result.returncode != 0:
        raise CheckFailed(f"{command[0]} ended with status {result.returncode}:\n"
                          f"{result.stdout[-4000:]}\n{result.stderr[-4000:]}")
    return result.stdout


def install_debian(packages):
    """`packages`: by the program that each has."""
    missing = [package for program, package in packages.items() if shutil.which(program) is None]
    if missing:
        print("installing " + " ".join(missing), flush=True)
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run(sudo + ["apt-get", "install", "-y", "-q"] + missing, check=True, stdout=subprocess.DEVNULL)


def install_python(venv):
    python = venv / "bin" / "python"
    if not (venv / "bin" / "aiperf").exists():
        print(f"installing {', '.join(PYTHON_PACKAGES)} into {venv} (some minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q"] + PYTHON_PACKAGES, check=True)
    return python


class Fleet:
    """`kvasir up` on a free port."""

    def __init__(self, kvasir, log):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [str(kvasir), "up", "--workers", "2", "--port", str(self.port), "--time-scale", "20"],
            stdout=log, stderr=log)

    def wait(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            require(self.process.poll() is None, "kvasir up ended early; see its log")
            try:
                with urllib.request.urlopen(self.url + "/v1/models", timeout=2) as answer:
                    return json.load(answer)["data"][0]["id"]
            except OSError:
                time.sleep(0.1)
        raise CheckFailed("kvasir up did not answer in time")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        require(self.process.wait(timeout=30) == 0, "kvasir up did not end with status 0")


def check_curl(url, model):
    """Plain and streamed completions, chat, and a request that is wrong."""
    def post(path, body, *flags):
        return run(["curl", "-sS", "-N", "-i", *flags, f"{url}{path}", "-H", "content-type: application/json",
                    "-d", json.dumps(body)])

    plain = post("/v1/completions", {"model": model, "prompt": "one two", "max_tokens": 4})
    head, _, body = plain.partition("\n\n")  # text mode makes the lines of the head end so
    require(head.startswith("HTTP/1.1 200"), plain)
    require("x-selected-pod:" in head.lower(), "no x-selected-pod in " + head)
    require(json.loads(body)["usage"]["completion_tokens"] == 4, body)
    streamed = post("/v1/chat/completions", {"model": model, "stream": True, "max_tokens": 4,
                                             "messages": [{"role": "user", "content": "hi"}]})
    require(streamed.rstrip().endswith("data: [DONE]"), streamed)
    unknown = post("/v1/completions", {"model": "nobody", "prompt": "x"})
    require(unknown.startswith("HTTP/1.1 404"), unknown)
    large = {"model": model, "prompt": " bab" * 60000, "max_tokens": 1}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(large, file)
        file.flush()
        answer = run(["curl", "-sS", f"{url}/v1/completions", "-H", "content-type: application/json",
                      "-H", "Transfer-Encoding: chunked", "-d", f"@{file.name}"])
    require(json.loads(answer)["usage"]["prompt_tokens"] == 60000, answer[:300])


def check_openai(url, python):
    return run([str(python), str(HERE / "openai_client.py"), "--url", url])


def check_structured(kvasir, python):
    """Tools and schemas, asked of a worker that was started for them."""
    port = free_port()
    command = [str(kvasir), "worker", "some/model", "--host", "127.0.0.1", "--port", str(port), "--time-scale", "50",
               "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        try:
            deadline = time.monotonic() + READY_SECONDS
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            return run([str(python), str(HERE / "structured_client.py"), "--url", f"http://127.0.0.1:{port}"])
        finally:
            worker.kill()


def aiperf_records(folder):
    with open(next(Path(folder).rglob("profile_export.jsonl"))) as file:
        return [json.loads(line) for line in file]


def check_aiperf(url, model, tokenizer, venv, endpoint):
    """AIPerf counts the answer's tokens with the written tokenizer: each count equals the worker's usage.

    Told to stay offline it looks for the tokenizer in the hub's cache only and refuses a folder, so it is not.
    """
    with tempfile.TemporaryDirectory() as folder:
        run([str(venv / "bin" / "aiperf"), "profile", "--model", model, "--url", url, "--endpoint-type", endpoint,
             "--streaming", "--tokenizer", str(tokenizer), "--ui", "none", "--request-count", str(AIPERF_REQUESTS),
             "--concurrency", "4", "--synthetic-input-tokens-mean", "300", "--output-tokens-mean", "50",
             "--output-tokens-stddev", "10", "--random-seed", "1", "--output-artifact-dir", folder,
             "--extra-inputs", json.dumps({"stream_options": {"include_usage": True}})],
            env={name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")})
        records = aiperf_records(folder)
    require(len(records) == AIPERF_REQUESTS, f"AIPerf made {len(records)} records")
    for record in records:
        require(record.get("error") is None, record.get("error"))
        metrics = record["metrics"]
        counted = metrics["output_sequence_length"]["value"]
        reported = metrics["usage_completion_tokens"]["value"]
        require(counted == reported, f"AIPerf counted {counted} output tokens, usage says {reported}")
    return len(records)


def check_wrk(url, model):
    script = HERE / "completion.lua"
    report = run(["wrk", "-t1", "-c32", "-d5s", "-s", str(script), url], env={**os.environ, "MODEL": model})
    require("Non-2xx" not in report and "Socket errors" not in report, report)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    require(rate and float(rate.group(1)) > 0, report)
    return rate.group(1)


def run_checks(arguments, fleet, python, tokenizer):
    model = fleet.wait()
    check_curl(fleet.url, model)
    print("curl: ok", flush=True)
    print("OpenAI client: ok: " + check_openai(fleet.url, python).strip().splitlines()[-1], flush=True)
    print("tools and schemas: " + ", ".join(check_structured(arguments.kvasir, python).split("\n")), flush=True)
    for endpoint in ("completions", "chat"):
        rows = check_aiperf(fleet.url, model, tokenizer, arguments.venv, endpoint)
        print(f"AIPerf {endpoint}: ok: {rows} rows, its output token counts equal usage in every one", flush=True)
    print(f"wrk: ok: {check_wrk(fleet.url, model)} requests/s, no errors", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build/release/kvasir", help="the program to test")
    parser.add_argument("--venv", type=Path, default=ROOT / "build/clients", help="virtual environment of the clients")
    arguments = parser.parse_args()
    install_debian({"curl": "curl", "wrk": "wrk", "openssl": "openssl", "h2load": "nghttp2-client"})
    python = install_python(arguments.venv)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = Path(folder) / "tokenizer"
        run([str(arguments.kvasir), "worker", "--write-tokenizer", str(tokenizer)])
        log = Path(folder) / "up.log"
        with open(log, "w") as output:
            fleet = Fleet(arguments.kvasir, output)
            try:
                run_checks(arguments, fleet, python, tokenizer)
                fleet.stop()
            except (CheckFailed, subprocess.TimeoutExpired) as problem:
                print(f"FAILED: {problem}\n--- kvasir up ---\n{log.read_text()[-4000:]}", file=sys.stderr)
                return 1
            finally:
                if fleet.process.poll() is None:
                    fleet.process.kill()
    subprocess.run([sys.executable, str(HERE / "tls_and_http2.py"), "--kvasir", str(arguments.kvasir)], check=True)
    print("all clients passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
