#!/usr/bin/env python3
"""What a request with two legs costs in `kvasir sidecar`, and what it waits there, beside a plain nginx hop in the same run.

The worker (instant_worker) prefills and answers at once. Three questions:
  two legs     CPU time of a request of 200 and of 20,000 tokens: one leg through nginx, two through the sidecar
  events       CPU time of an event of a streamed answer: those of answers of 400 events less those of 1; the events come at
               once, as fast as they can be read, or one each 5 ms, each with a read and a write of its own
  streams      how long after it was due a stream's first byte came while 2,000 and 6,000 are open (open loop, one event a second)
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).resolve().parents[2]
sys.path += [str(PROJECT / "bench" / "gateway")]

import install  # noqa: E402
from contenders import fill, nginx_command  # noqa: E402
from processes import Child, free_port  # noqa: E402
from workload import LoadFailed, bodies, wrk, write_bodies  # noqa: E402

SIZES = (200, 20_000)
# Of nginx's hop in the same run: a fifth to a quarter of what the Go sidecar took, when it was last measured beside one.
REQUEST_LIMITS = {200: 4.4, 20_000: 6.8}
REQUEST_GOAL = 2.0
EVENT_LIMIT = 0.1  # of nginx's hop at 200 tokens
EVENT_GOAL = 1.2   # of nginx's event
ADDED_LIMIT_MS = {2_000: 3.0}
EVENTS = 400
EVENT_INTERVAL_MS = 5
STREAM_SECONDS = 10
CONNECTIONS = 16


class Contender:
    def __init__(self, name, child, port, fields):
        self.name, self.child, self.port, self.fields = name, child, port, fields
        self.url = f"http://127.0.0.1:{port}/v1/completions"

    def cost(self, tools, bodies_file, seconds, connections=CONNECTIONS, **fields):
        """CPU microseconds of a request."""
        before = self.child.cpu_seconds()
        fields = self.fields | {name.replace("_", "-"): value for name, value in fields.items()}
        try:
            numbers = wrk(tools["wrk"], self.url, bodies_file, connections, seconds, fields)
        except LoadFailed as error:
            raise SystemExit(f"{self.name}: {error}") from None
        errors = numbers["bad_status"] + numbers["socket_errors"] + numbers["timeouts"]
        if errors or not numbers["requests"]:
            raise SystemExit(f"{self.name}: {errors} errors in {numbers['requests']} requests")
        return (self.child.cpu_seconds() - before) * 1e6 / numbers["requests"]


def wait_for(port, child):
    import http.client
    for _ in range(200):
        if not child.alive():
            raise SystemExit("ended:\n" + "\n".join(child.log_tail()))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise SystemExit("not ready:\n" + "\n".join(child.log_tail()))


def start(tools, directory, stack, options):
    """nginx and the sidecar in front of the same worker."""
    worker_port, nginx_port = free_port(), free_port()
    worker = Child("worker", [options.build / "bench/sidecar/instant_worker", worker_port], directory)
    stack.callback(worker.stop)
    wait_for(worker_port, worker)
    config = fill("nginx.conf.in", directory, "nginx.conf", PORT=nginx_port, SERVERS=f"    server 127.0.0.1:{worker_port};")
    config.write_text(config.read_text().replace("worker_connections 8192", "worker_connections 19000")
                      .replace("proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_buffering off;"))
    contenders = [Contender("nginx", Child("nginx", nginx_command(tools, directory, config), directory), nginx_port, {})]
    for name, program in (("kvasir", options.kvasir), ("old", options.against)):
        if not program:
            continue
        port = free_port()
        child = Child(name, [program, "sidecar", "--secure-proxy=false", "--host", "127.0.0.1", "--port", port, "--model-server-port", worker_port, "--threads", 1,
                             *options.flags], directory)
        contenders.append(Contender(name, child, port, {"x-prefiller-host-port": f"127.0.0.1:{worker_port}"}))
    for contender in contenders:
        stack.callback(contender.child.stop)
        wait_for(contender.port, contender.child)
    return contenders


def in_turn(contenders, number):
    shift = number % len(contenders)
    return contenders[shift:] + contenders[:shift]


def measure_requests(tools, directory, contenders, options, results):
    for tokens in SIZES:
        file, _ = write_bodies(directory, f"{tokens}", bodies(tokens, "text"))
        costs = {contender.name: [] for contender in contenders}
        for number in range(-1, options.rounds):  # the first one warms up
            for contender in in_turn(contenders, number):
                cost = contender.cost(tools, file, options.seconds)
                if number >= 0:
                    costs[contender.name].append(cost)
        results["requests"][tokens] = {name: median(values) for name, values in costs.items()}
        print(f"two legs, {tokens:,} tokens: " + line(results["requests"][tokens], "us"), flush=True)


def measure_events(tools, directory, contenders, options, results):
    file, _ = write_bodies(directory, "events", bodies(200, "text"))
    for kind, connections, more in (("at once", CONNECTIONS, {}), (f"each {EVENT_INTERVAL_MS} ms", 128, {"x_bench_interval_ms": EVENT_INTERVAL_MS})):
        costs = {contender.name: [] for contender in contenders}
        for number in range(options.rounds):
            for contender in in_turn(contenders, number):
                many = contender.cost(tools, file, max(options.seconds, 5 if more else 0), connections, x_bench_events=EVENTS, **more)
                one = contender.cost(tools, file, options.seconds, connections, x_bench_events=1)
                costs[contender.name].append((many - one) / (EVENTS - 1))
        results["events"][kind] = {name: median(values) for name, values in costs.items()}
        print(f"an event, {kind}: " + line(results["events"][kind], "us"), flush=True)


def measure_streams(directory, contenders, options, results):
    file, _ = write_bodies(directory, "streams", bodies(200, "text")[:1])
    for streams in options.streams:
        waits = {contender.name: [] for contender in contenders}
        for number in range(options.rounds):
            for contender in in_turn(contenders, number):
                fields = contender.fields | {"x-bench-events": STREAM_SECONDS, "x-bench-interval-ms": 1000}
                command = [options.build / "bench/sidecar/stream_client", contender.port, file,
                           "\n".join(f"{name}: {value}" for name, value in fields.items()), streams / (STREAM_SECONDS - 1), STREAM_SECONDS, 5]
                done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
                numbers = json.loads(done.stdout.removeprefix("RESULT "))
                if numbers["failed"]:
                    raise SystemExit(f"{contender.name}: {numbers['failed']} streams failed")
                waits[contender.name].append(numbers)
        results["streams"][streams] = {name: {key: median(each[key] for each in values) for key in values[0]} for name, values in waits.items()}
        for name, numbers in results["streams"][streams].items():
            print(f"{streams:,} streams, {name}: {numbers['open_most']:.0f} open, first byte after p50 {numbers['p50_ms']:.2f}, p99 {numbers['p99_ms']:.2f}, "
                  f"p99.9 {numbers['p999_ms']:.2f} ms", flush=True)


def line(costs, unit):
    return ", ".join(f"{name} {cost:.2f} {unit}" + (f" ({cost / costs['nginx']:.2f} x nginx)" if name != "nginx" else "")
                     for name, cost in costs.items())


def verdicts(results):
    hop = results["requests"][200]["nginx"]
    for tokens, costs in results["requests"].items():
        ratio = costs["kvasir"] / costs["nginx"]
        yield ratio <= REQUEST_LIMITS[tokens], f"two legs, {tokens:,} tokens: {ratio:.2f} of an nginx hop (limit {REQUEST_LIMITS[tokens]}, goal {REQUEST_GOAL})"
    at_once = results["events"]["at once"]
    share = at_once["kvasir"] / hop
    yield share <= EVENT_LIMIT, (f"an event: {share:.3f} of an nginx hop of 200 tokens (limit {EVENT_LIMIT}); "
                                 f"{at_once['kvasir'] / at_once['nginx']:.2f} of nginx's event (goal {EVENT_GOAL})")
    for streams, of in results["streams"].items():
        added = {key: of["kvasir"][key] - of["nginx"][key] for key in ("p50_ms", "p99_ms")}
        limit = ADDED_LIMIT_MS.get(streams)
        yield (limit is None or added["p50_ms"] <= limit), (
            f"{streams:,} streams: {added['p50_ms']:.2f} ms more than nginx's hop at p50" + (f" (limit {limit})" if limit else "") + f", {added['p99_ms']:.2f} at p99")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=PROJECT / "build/release")
    parser.add_argument("--kvasir", help="the program (default: that of --build)")
    parser.add_argument("--against", help="an older kvasir, which takes turns with the new one")
    parser.add_argument("--flags", nargs="*", default=[], help="more flags of the sidecar")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of one measurement of CPU time")
    parser.add_argument("--streams", type=int, nargs="*", default=[2_000, 6_000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a limit is not kept")
    options = parser.parse_args()
    options.build = options.build.resolve()
    options.kvasir = options.kvasir or options.build / "kvasir"
    tools = install.find_tools(["nginx"], options.kvasir, PROJECT / "build/peers", True)
    results = {"requests": {}, "events": {}, "streams": {}}
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-sidecar-"))
        os.chmod(directory, 0o755)  # nginx started by root reads it as another user
        contenders = start(tools, directory, stack, options)
        measure_requests(tools, directory, contenders, options, results)
        measure_events(tools, directory, contenders, options, results)
        measure_streams(directory, contenders, options, results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    passed = True
    for good, sentence in verdicts(results):
        print(f"{'pass' if good else 'FAIL'}  {sentence}")
        passed = passed and good
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    sys.exit(main())
