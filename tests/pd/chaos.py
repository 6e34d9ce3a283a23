"""Many requests at once while nothing can be relied on; every answer is the right one, or says that it is none.

    driver -> sidecar, gateway, pd-proxy -> [proxy] -> prefiller
                                        \\-> [proxy] -> decoder
    NIXL, P2P: decoder -> [proxies] -> prefiller, or the other way: words and blocks
    stores:    prefiller, decoder -> [proxy] -> Redis, or a folder

Two of each; with NIXL two sidecars and a gateway carry the legs, else two pd-proxies. All of them are killed, stopped
for a while and started again; connections are cut after some bytes; what one worker says to another (reads, beats,
notifications) goes nowhere for a while; bytes of blocks are flipped under way; what is stored is removed or damaged;
clients leave. Afterwards requests are answered and blocks travel again, every block is given back, and neither memory
nor descriptors have grown.
"""

import collections
import http.client
import json
import os
import random
import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from fleet import HOST, Answer, Gateway, PdProxy, Sidecar, Worker
from identity import references
from requests_mix import mixed_requests
from tcp_proxy import Loop, TcpProxy
from ways import Tap

TIME_SCALE = 5
LEASE_SECONDS = 3
BLOCKS = 4000
REQUESTS = 200
ANSWER_SECONDS = 120
REST_SECONDS = 120
GROWTH_MIB = int(os.environ.get("KVASIR_PD_GROWTH_MIB", "40"))
# Connections that nobody uses are closed after 4 seconds by sidecars and pd-proxies, after these by workers, and with
# them by the gateway, which would keep them for a minute. What is open after that is for good.
KEEP_ALIVE_SECONDS = 5
IDLE_SECONDS = 30
GROWTH_DESCRIPTORS = 16  # since nobody had asked anything


class Fleet:
    def __init__(self, kvasir, way, redis):
        self.loop = Loop()
        self.prefillers, self.decoders, self.carriers = [], [], []  # carriers: of the two legs
        self.taps, self.fronts, self.backs = [], [], []
        self.way, self.redis = way, redis if way.kind == "lmcache" else None
        self.store = TcpProxy(self.loop, redis.port) if self.redis else None
        try:
            self.start(kvasir, self.changed())
        except BaseException:
            self.close()
            raise

    def changed(self):
        """The way, for a fleet whose time is short."""
        extra = dict(self.way.extra)
        if self.way.kind in ("nixl", "p2p"):
            extra["kv_lease_duration"] = LEASE_SECONDS
        if self.store is not None:
            extra["remote_url"] = f"redis://{HOST}:{self.store.port}"
        return replace(self.way, extra=extra)

    def start(self, kvasir, way):
        flags = ("--num-gpu-blocks-override", str(BLOCKS), "--max-model-len", "8192")
        closes = {"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(KEEP_ALIVE_SECONDS)}
        for number in range(2):
            prefiller = Worker(kvasir, f"prefiller-{number}", way, "fail", flags, TIME_SCALE, closes)
            self.prefillers.append(prefiller)
            self.decoders.append(Worker(kvasir, f"decoder-{number}", way, ("fail", "recompute")[number], flags,
                                        TIME_SCALE, closes))
            self.fronts.append(TcpProxy(self.loop, prefiller.port))
            self.backs.append(TcpProxy(self.loop, self.decoders[number].port))
            if way.kind == "nixl":
                self.taps.append(Tap(self.loop, prefiller.side_port, Tap.NIXL))
                self.fronts[number].to_client = self.announcing(self.taps[number].side.port)
            elif way.kind == "p2p":
                asked = prefiller if self.gets() else self.decoders[number]
                self.taps.append(Tap(self.loop, asked.kv_port, Tap.P2P))
        for worker in self.prefillers + self.decoders:
            worker.wait_ready()
        self.carriers = self.sidecars_and_gateway(kvasir) if way.kind == "nixl" else self.pd_proxies(kvasir)
        for carrier in self.carriers:
            carrier.wait_ready()

    def gets(self):
        return self.way.extra.get("send_type") == "GET"

    def sidecars_and_gateway(self, kvasir):
        sidecars = [Sidecar(kvasir, f"sidecar-{number}", back.port,
                            ("--on-prefill-failure", ("error", "local-decode")[number]))
                    for number, back in enumerate(self.backs)]
        return sidecars + [Gateway(kvasir, "gateway", [proxy.port for proxy in self.fronts],
                                   [proxy.port for proxy in self.backs], ("--on-prefill-failure", "local-decode"))]

    def pd_proxies(self, kvasir):
        p2p = self.way.kind == "p2p"
        names = [[f"{HOST}:{worker.kv_port}" if p2p else None for worker in workers]
                 for workers in (self.prefillers, self.decoders)]
        if p2p:  # who is asked is found where its proxy is
            names[0 if self.gets() else 1] = [f"{HOST}:{tap.side.port}" for tap in self.taps]
        prefillers, decoders = ([(proxy.port, name) for proxy, name in zip(proxies, named)]
                                for proxies, named in zip((self.fronts, self.backs), names))
        return [PdProxy(kvasir, f"pd-proxy-{number}", "p2p" if p2p else "fs", prefillers, decoders,
                        # With P2P who decodes alone would wait for blocks that nobody sends.
                        () if p2p else ("--fs-max-prompt-tokens", "0", "--on-prefill-failure",
                                        ("error", "local-decode")[number])) for number in range(2)]

    @staticmethod
    def announcing(port):
        """Blocks are to be fetched by the proxy: a port of five digits in the place of another."""
        assert port >= 10000
        return lambda piece, offset: re.sub(rb'("remote_port":\s*)\d{5}', rb"\g<1>%d" % port, piece)

    def processes(self):
        return self.prefillers + self.decoders + self.carriers

    def proxies(self):
        return (self.fronts + self.backs + [proxy for tap in self.taps for proxy in (tap.side, tap.data)]
                + ([self.store] if self.store else []))

    def ways_of_blocks(self):
        return [tap.data for tap in self.taps] + ([self.store] if self.store else [])

    def ways_of_words(self):
        """On which a worker says something to another, or to the store."""
        return self.ways_of_blocks() + ([tap.side for tap in self.taps] if self.way.kind == "p2p" else [])

    def stored_files(self):
        folder = self.way.extra.get("shared_storage_path")
        return sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names) if folder else []

    def heal(self):
        for proxy in self.proxies():
            proxy.cut_after, proxy.swallow = (lambda: None), False
        for proxy in self.ways_of_blocks():
            proxy.to_client = proxy.to_server = None
        for process in self.processes() + ([self.redis] if self.redis else []):
            if process.process.poll() is None:
                process.signal(signal.SIGCONT)
            else:
                process.start()

    def close(self):
        for process in self.processes():
            process.close()
        for proxy in self.proxies():
            proxy.close()
        self.loop.close()


class Storm(threading.Thread):
    """One fault after another until `over` is set."""

    def __init__(self, fleet, seed, over):
        super().__init__(daemon=True)
        self.fleet, self.rng, self.over = fleet, random.Random(seed), over
        self.counts = collections.Counter()
        self.ended = []  # processes that ended by themselves
        self.victims = fleet.processes() + ([fleet.redis] if fleet.redis else [])

    def run(self):
        actions = [self.kill, self.stop, self.cut_now, self.cut_soon]
        if self.fleet.ways_of_words():
            actions += [self.swallow, self.flip]
        if self.fleet.redis or self.fleet.way.kind == "fs":
            actions.append(self.spoil)
        while not self.over.wait(self.rng.uniform(0.05, 0.6)):
            action = self.rng.choice(actions)
            self.counts[action.__name__] += 1
            action()

    def look(self, process):
        status = process.process.poll()
        if status is not None:
            self.ended.append(f"{process.name} ended with {status}:\n{process.output()[-2000:]}")

    def kill(self):
        process = self.rng.choice(self.victims)
        self.look(process)
        process.kill()
        self.over.wait(self.rng.uniform(0, 1))
        process.start()

    def stop(self):
        process = self.rng.choice(self.victims)
        self.look(process)
        process.signal(signal.SIGSTOP)
        self.over.wait(self.rng.uniform(0.1, 2))
        process.signal(signal.SIGCONT)

    def cut_now(self):
        self.rng.choice(self.fleet.proxies()).cut_all()

    def cut_soon(self):
        proxy = self.rng.choice(self.fleet.proxies())
        proxy.cut_after = lambda: self.rng.randint(0, 200_000)
        self.over.wait(self.rng.uniform(0.2, 1.5))
        proxy.cut_after = lambda: None

    def swallow(self):
        proxy = self.rng.choice(self.fleet.ways_of_words())
        proxy.swallow = True
        self.over.wait(self.rng.uniform(0.2, 1.5))
        proxy.swallow = False
        proxy.cut_all()  # else both sides wait for what is lost until they find each other stalled

    def flip(self):
        proxy = self.rng.choice(self.fleet.ways_of_blocks())

        def change(piece, offset):
            changed = bytearray(piece)
            if changed and self.rng.random() < 0.3:
                changed[self.rng.randrange(len(changed))] ^= 1 << self.rng.randrange(8)
            return bytes(changed)
        proxy.to_client = change
        if self.fleet.way.kind == "p2p":
            proxy.to_server = change  # either side may be the one that sends
        self.over.wait(self.rng.uniform(0.2, 1))
        proxy.to_client = proxy.to_server = None

    def spoil(self):
        if self.fleet.redis:
            self.fleet.redis.command(b"FLUSHALL")
        for path in self.fleet.stored_files():
            if self.rng.random() < 0.5:
                continue
            try:
                # vLLM's own layout has no checksums: there it is removed.
                if self.fleet.way.extra.get("layout") == "kvasir" and self.rng.random() < 0.7:
                    self.damage(path)
                else:
                    path.unlink()
            except FileNotFoundError:
                pass  # a worker was faster

    def damage(self, path):
        data = bytearray(path.read_bytes())
        at = self.rng.randrange(len(data) or 1)
        if data and self.rng.random() < 0.5:
            data[at] ^= 1
        else:
            del data[at:]
        fresh = path.with_name(path.name + ".changed")
        fresh.write_bytes(data)
        fresh.rename(path)


class Client(threading.Thread):
    """One request after another, on a connection that is kept as long as it serves."""

    def __init__(self, fleet, requests, expected, seed, over):
        super().__init__(daemon=True)
        self.fleet, self.requests, self.expected, self.over = fleet, requests, expected, over
        self.rng = random.Random(seed)
        self.connections = [None] * len(fleet.carriers)
        self.counts = collections.Counter()
        self.wrong = []

    def run(self):
        while not self.over.is_set():
            number = self.rng.randrange(len(self.requests))
            path, body = self.requests[number]
            answer = self.ask(self.rng.randrange(len(self.fleet.carriers)), path, body)
            self.counts[self.judge(number, answer)] += 1
            if answer is not None and answer.status == 0:
                self.over.wait(0.05)
        for connection in self.connections:
            if connection is not None:
                connection.close()

    def ask(self, which, path, body):
        """None: the client left."""
        prefillers = [f"{HOST}:{front.port}" for front in self.fleet.fronts]
        self.rng.shuffle(prefillers)
        headers = {"Content-Type": "application/json",
                   "x-prefiller-host-port": ",".join(prefillers[:self.rng.randint(1, 2)])}
        if self.connections[which] is None:
            self.connections[which] = http.client.HTTPConnection(HOST, self.fleet.carriers[which].port,
                                                                 timeout=ANSWER_SECONDS)
        connection, status, received = self.connections[which], 0, bytearray()
        leaves_after = self.rng.randint(1, 4000) if self.rng.random() < 0.05 else None
        whole = False
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            status = response.status
            while piece := response.read1(65536):
                received += piece
                if leaves_after is not None and len(received) >= leaves_after:
                    return None
            whole = response.length in (None, 0)
            response.close()  # else the connection cannot be used again
            return Answer(status, bytes(received), whole, "" if whole else "it breaks off")
        except TimeoutError as problem:
            return Answer(-1, bytes(received), False, repr(problem))
        except (OSError, http.client.HTTPException, ValueError) as problem:
            return Answer(status, bytes(received), False, repr(problem))
        finally:
            if not whole:
                connection.close()
                self.connections[which] = None

    def judge(self, number, answer):
        if answer is None:
            return "left"
        if answer.status == -1:
            self.wrong.append(f"no answer after {ANSWER_SECONDS} s: {self.requests[number]}"[:400])
            return "WRONG"
        texts = answer.texts()
        if texts is None:
            if answer.status == 200 and answer.whole and b'"error"' not in answer.body and b"[DONE]" in answer.body:
                self.wrong.append(f"an end without an answer: {answer.body[-400:]!r}")
                return "WRONG"
            return f"error {answer.status}" if answer.status >= 400 else "cut" if not answer.whole else "error event"
        if texts != self.expected[number]:
            self.wrong.append(f"{self.requests[number]}: {texts}, expected {self.expected[number]}"[:2000])
            return "WRONG"
        return "identical"


def drive(fleet, requests, expected, in_flight, seconds, seed):
    over = threading.Event()
    clients = [Client(fleet, requests, expected, seed * 1000 + number, over) for number in range(in_flight)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    return over, clients


def finish(over, clients):
    over.set()
    for client in clients:
        client.join(ANSWER_SECONDS + 10)
    counts = sum((client.counts for client in clients), collections.Counter())
    return counts, [wrong for client in clients for wrong in client.wrong]


def moved(fleet):
    return [decoder.metric("kvasir_kv_transfer_bytes_total") for decoder in fleet.decoders]


def rest(workers):
    deadline = time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        if all(worker.at_rest() for worker in workers):
            return True
        time.sleep(0.2)
    return False


def memory(fleet):
    return {process.name: process.resident_kib() / 1024 for process in fleet.processes()}


def descriptors(fleet):
    return {process.name: process.descriptors() for process in fleet.processes()}


def descriptors_at_rest(fleet, at_first):
    """When connections that were only kept for later are closed, or should be."""
    deadline = time.monotonic() + IDLE_SECONDS
    while True:
        now = descriptors(fleet)
        if time.monotonic() > deadline or all(now[name] <= at_first[name] + GROWTH_DESCRIPTORS for name in now):
            return now
        time.sleep(0.5)


def growth(fleet, at_first, before):
    """`at_first`: descriptors before the first request. `before`: MiB after some."""
    resident = memory(fleet)
    for name, now in descriptors_at_rest(fleet, at_first).items():
        print(f"{name}: {before[name]:.0f} -> {resident[name]:.0f} MiB, {at_first[name]} -> {now} descriptors",
              flush=True)
        if resident[name] > before[name] + GROWTH_MIB or now > at_first[name] + GROWTH_DESCRIPTORS:
            yield f"{name} has grown"


def run(kvasir, way, redis, seconds, in_flight, seed):
    print(f"{way.name}:", flush=True)
    requests = mixed_requests(REQUESTS, seed=9, tokens_most=600)
    expected = references(kvasir, requests)
    fleet = Fleet(kvasir, way, redis)
    problems = []
    try:
        at_first = descriptors(fleet)
        counts, wrong = finish(*drive(fleet, requests, expected, in_flight, min(5, seconds / 4), seed))
        print(f"quiet: {dict(counts)}", flush=True)
        problems += wrong[:5]
        if 0 in moved(fleet):
            problems.append("no blocks went from prefillers to decoders")
        if any(tap.data_port is None for tap in fleet.taps):
            problems.append("no blocks went through the proxies")
        if set(counts) - {"identical", "left"}:
            problems.append(f"errors although nothing was wrong: {dict(counts)}")
        if not rest(fleet.prefillers + fleet.decoders):
            problems.append("at the beginning, not every block was given back")
        before = memory(fleet)

        storm_over = threading.Event()
        storm = Storm(fleet, seed, storm_over)
        storm.start()
        over, clients = drive(fleet, requests, expected, in_flight, seconds, seed + 1)
        storm_over.set()
        storm.join(30)
        fleet.heal()
        counts, wrong = finish(over, clients)
        print(f"storm: {dict(storm.counts)}\n       {dict(sorted(counts.items()))}", flush=True)
        problems += wrong[:5] + storm.ended
        if counts["identical"] == 0:
            problems.append("no request got an answer")
        for process in fleet.processes():
            process.wait_ready()

        # Connections of before may be found dead, and who failed is left alone for a while.
        counts, wrong = finish(*drive(fleet, requests, expected, in_flight, min(10, seconds / 4), seed + 2))
        print(f"at first after it: {dict(counts)}", flush=True)
        problems += wrong[:5]
        blocks = moved(fleet)
        counts, wrong = finish(*drive(fleet, requests, expected, in_flight, min(5, seconds / 4), seed + 3))
        print(f"then: {dict(counts)}, {[round((now - before) / 1e6) for now, before in zip(moved(fleet), blocks)]} MB "
              "came to the decoders", flush=True)
        problems += wrong[:5]
        if set(counts) - {"identical", "left"}:
            problems.append(f"errors although all is well again: {dict(counts)}")
        if any(now == before for now, before in zip(moved(fleet), blocks)):
            problems.append("blocks do not travel again")
        if not rest(fleet.prefillers + fleet.decoders):
            problems.append("not every block was given back: " + ", ".join(
                f"{worker.name}: usage {worker.metric('vllm:kv_cache_usage_perc'):.3f}, "
                f"offers {worker.metric('kvasir_kv_offers'):.0f}, "
                f"running {worker.metric('vllm:num_requests_running'):.0f}, "
                f"waiting {worker.metric('vllm:num_requests_waiting'):.0f}"
                for worker in fleet.prefillers + fleet.decoders))
        problems += growth(fleet, at_first, before)
    finally:
        fleet.close()
    for problem in problems:
        print("PROBLEM: " + problem)
    return not problems
