#!/usr/bin/env python3
"""What clients of a gateway with default flags notice when workers fail, and what it costs those that do not.

half-503: one of four workers answers every second request with 503. Passes when under 0.1 % of the clients get an error,
and the workers together get less than 1.15 requests for each of the clients'; once as it is, once without ejection.
refused: all workers are killed. black-hole: all neither take nor refuse connections. Each passes when every request that
comes then is over, the 99th percentile of 200 that come one by one afterwards is under 5 ms, none of those that came at once
took longer than the connect timeout and half a second, and no request is held or under way at the end.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 4
REQUESTS = 4000
AT_ONCE = 16
BURST = 64
ONE_BY_ONE = 200
ERRORS_MOST = 0.001
UPSTREAM_MOST = 1.15
REFUSAL_P99_MOST_MS = 5
CONNECT_TIMEOUT_S = 5
BODY = json.dumps({"model": "m", "prompt": "to be or not to be", "max_tokens": 1}).encode()
POST = (b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
        + str(len(BODY)).encode() + b"\r\n\r\n" + BODY)


class Fleet:
    """Four workers and a gateway before them, as processes."""

    def __init__(self, binary, *flags):
        self.folder = tempfile.TemporaryDirectory()
        self.counts = [Path(self.folder.name) / f"worker-{i}" for i in range(WORKERS)]
        for count in self.counts:
            count.touch()
        command = [sys.executable, ROOT / "tests/resilience/worker.py"]
        self.workers = [subprocess.Popen([*command, count], stdout=subprocess.PIPE) for count in self.counts]
        urls = ",".join(f"http://127.0.0.1:{int(worker.stdout.readline())}" for worker in self.workers)
        self.log = open(Path(self.folder.name) / "log", "w+")
        self.gateway = subprocess.Popen([binary, "gateway", "--port", "0", "--worker-urls", urls, *flags], stderr=self.log)
        self.port = self.wait_for(r"serving on http://127.0.0.1:(\d+)")

    def wait_for(self, pattern):
        for _ in range(600):
            found = re.search(pattern, self.text())
            if found:
                return int(found.group(1))
            time.sleep(0.05)
        raise SystemExit("the gateway does not serve:\n" + self.text())

    def text(self):
        return Path(self.log.name).read_text()

    def tell(self, number, workers):
        for worker in workers:
            worker.send_signal(number)

    def posts(self):
        return sum(count.stat().st_size for count in self.counts)

    async def wait_until_ready(self):
        for _ in range(600):
            if (await get(self.port, "/readyz"))[0] == 200:
                return
            await asyncio.sleep(0.05)
        raise SystemExit("the gateway is not ready:\n" + self.text())

    def close(self):
        for process in [self.gateway, *self.workers]:
            process.kill()
            process.wait()
        self.log.close()


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    return int(head.split()[1]), (await reader.readexactly(length)).decode()


async def get(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        return await answer(reader)
    finally:
        writer.close()


class Clients:
    def __init__(self, port):
        self.port = port
        self.statuses = []
        self.seconds = []
        self.left = 0

    async def client(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while self.left > 0:
            self.left -= 1
            begin = time.monotonic()
            writer.write(POST)
            try:
                status, _ = await answer(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                status = 0
            self.seconds.append(time.monotonic() - begin)
            self.statuses.append(status)
            if status == 0:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()

    async def send(self, requests, at_once):
        self.left = requests
        await asyncio.gather(*[self.client() for _ in range(at_once)])


def counted(statuses):
    return ", ".join(f"{statuses.count(status)} x {status or 'no answer'}" for status in sorted(set(statuses)))


def verdict(name, text, *holds):
    print(f"{'ok  ' if all(holds) else 'FAIL'} {name}: {text}", flush=True)
    return all(holds)


async def half_503(fleet, name):
    fleet.tell(signal.SIGUSR1, fleet.workers[:1])
    clients = Clients(fleet.port)
    await clients.send(REQUESTS, AT_ONCE)
    errors = sum(status != 200 for status in clients.statuses) / REQUESTS
    upstream = fleet.posts() / REQUESTS
    return verdict(name, f"{counted(clients.statuses)}; errors {errors:.2%}, upstream {upstream:.3f}x",
                   errors < ERRORS_MOST, upstream < UPSTREAM_MOST)


async def gauge(fleet, name):
    _, page = await get(fleet.port, "/metrics")
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


async def all_gone(fleet, name, number):
    before = Clients(fleet.port)
    await before.send(BURST, AT_ONCE)
    fleet.tell(number, fleet.workers)
    at_once = Clients(fleet.port)
    await at_once.send(BURST, BURST)
    # Until their health checks have said so too.
    while await gauge(fleet, "kvasir_gateway_upstream_healthy") > 0:
        await asyncio.sleep(0.05)
    one_by_one = Clients(fleet.port)
    await one_by_one.send(ONE_BY_ONE, 1)
    held = await gauge(fleet, "kvasir_gateway_held_requests")
    under_way = await gauge(fleet, "kvasir_gateway_requests_in_flight")
    p99 = sorted(one_by_one.seconds)[int(len(one_by_one.seconds) * 0.99)] * 1000
    slowest = max(at_once.seconds)
    return verdict(name, f"at once: {counted(at_once.statuses)}, slowest {slowest:.3f} s; afterwards: "
                         f"{counted(one_by_one.statuses)}, p99 {p99:.2f} ms; held {held:.0f}, under way {under_way:.0f}",
                   set(before.statuses) == {200}, slowest < CONNECT_TIMEOUT_S + 0.5, p99 < REFUSAL_P99_MOST_MS,
                   200 not in one_by_one.statuses, held == 0, under_way == 0)


CASES = {
    "half-503": lambda fleet, name: half_503(fleet, name),
    "half-503-no-ejection": lambda fleet, name: half_503(fleet, name),
    "refused": lambda fleet, name: all_gone(fleet, name, signal.SIGKILL),
    "black-hole": lambda fleet, name: all_gone(fleet, name, signal.SIGUSR2),
}
FLAGS = {"half-503-no-ejection": ["--no-eject-outliers"]}


async def run_case(name, binary):
    fleet = Fleet(binary, *FLAGS.get(name, []))
    try:
        await fleet.wait_until_ready()
        return await CASES[name](fleet, name)
    finally:
        fleet.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("KVASIR_BINARY", ROOT / "build/release/kvasir"))
    parser.add_argument("--only", choices=CASES)
    options = parser.parse_args()
    names = [options.only] if options.only else CASES
    results = [asyncio.run(run_case(name, options.binary)) for name in names]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
