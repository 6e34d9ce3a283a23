"""One flipped byte, one missing block, one stale block: the answer changes, or somebody says that something is wrong.

The faults are made where the bytes lie or pass: in the folder, in Redis, in shared memory, on the TCP connection. Of
each, what may follow: `changed` (another answer), `refused` (an error), `noticed` (the right answer, and a failed
transfer is counted or the prompt was computed again). What must not happen is the right answer as if nothing had been
wrong: then the fault was not where the bytes come from, or nobody looks at them.
"""

import os
import shutil
from pathlib import Path

from identity import references
from requests_mix import prefill_leg
from tcp_proxy import Loop
from ways import Pair, Tap

PROMPT = ("the river runs under the old stone bridge and every morning the paper boats of the children go north with "
          "it past the glass works past the seven lamps of the harbour and out to where the water is grey and wide ")
WORDS_OF_ANSWER = 24


def request(number):
    """Prompts of equal length without a common beginning; several blocks each."""
    return "/v1/completions", {"prompt": f"{chr(97 + number)} {PROMPT * 3}", "max_tokens": WORDS_OF_ANSWER}


class Fault:
    """`act(pair, decode body)` makes it between the legs, `prepare()` before them. What act() returns is the number of
    the request that is decoded, when it is another one."""

    def __init__(self, name, may_follow, act, prepare=lambda: None):
        self.name, self.may_follow, self.act, self.prepare = name, may_follow, act, prepare


def nothing(act=lambda pair, body: None, prepare=lambda: None):
    """First that blocks come and nobody notices anything: else the faults after it prove nothing."""
    return Fault("nothing", {"UNNOTICED"}, act, prepare)


ANYTHING = {"changed", "refused", "noticed"}
NO_ANSWER_OF_OURS = {"changed", "refused"}


def flip(data, at):
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


# --- NIXL: what the prefiller announced is changed, or the bytes under way, or the shared memory. ---

def nixl_over_tcp(tap):
    def divert(body):
        body["kv_transfer_params"]["remote_port"] = tap.side.port
        return body

    def flip_under_way(pair, body):
        # Behind the heads of the first frames: among the bytes of the blocks.
        at = 3000
        tap.data.to_client = lambda piece, offset: (flip(piece, at - offset)
                                                    if offset <= at < offset + len(piece) else piece)
        tap.data.cut_all()
        divert(body)

    def break_off(pair, body):
        tap.data.to_client, tap.data.cut_after = None, lambda: 3000
        tap.data.cut_all()
        divert(body)

    return [nothing(lambda pair, body: divert(body) and None),
            Fault("flipped byte on the connection", NO_ANSWER_OF_OURS, flip_under_way),
            Fault("connection that breaks off", NO_ANSWER_OF_OURS, break_off)]


def shared_memory(prefiller):
    """The prefiller's blocks, by the name of its memory."""
    for name in os.listdir("/dev/shm"):
        path = f"/dev/shm/{name}"
        if name.startswith("kvasir-") and any(
                path in line for line in Path(f"/proc/{prefiller.process.pid}/maps").read_text().splitlines()):
            return path, os.path.getsize(path) // prefiller.kv_blocks()
    raise AssertionError("the prefiller shares no memory")


def nixl_in_shared_memory():
    def change(pair, block, make):
        path, size = shared_memory(pair.prefiller)
        with open(path, "r+b") as memory:
            memory.seek(block * size)
            bytes_now = memory.read(size)
            assert any(bytes_now), "an offered block holds something"
            memory.seek(block * size)
            memory.write(make(bytes_now))

    def flip_one(pair, body):
        change(pair, blocks_of(body)[1], lambda data: flip(data, 77))

    def empty_one(pair, body):
        change(pair, blocks_of(body)[1], lambda data: bytes(len(data)))

    def stale_one(pair, body):
        path, size = shared_memory(pair.prefiller)
        other = offered_blocks(pair, 25)[1]
        with open(path, "rb") as memory:
            memory.seek(other * size)
            stale = memory.read(size)
        change(pair, blocks_of(body)[1], lambda data: stale)

    return [nothing(), Fault("flipped byte in shared memory", NO_ANSWER_OF_OURS, flip_one),
            Fault("emptied block in shared memory", NO_ANSWER_OF_OURS, empty_one),
            Fault("stale block in shared memory", NO_ANSWER_OF_OURS, stale_one)]


def blocks_of(body):
    ids = body["kv_transfer_params"]["remote_block_ids"]
    return ids[0] if isinstance(ids[0], list) else ids


def set_blocks(body, blocks):
    ids = body["kv_transfer_params"]["remote_block_ids"]
    body["kv_transfer_params"]["remote_block_ids"] = [blocks] if isinstance(ids[0], list) else blocks


def offered_blocks(pair, number):
    path, body = request(number)
    leg = {**prefill_leg(body), "kv_transfer_params": {"do_remote_decode": True}}
    return blocks_of({"kv_transfer_params": pair.prefiller.post(path, leg).json()["kv_transfer_params"]})


def nixl_announced():
    def missing(pair, body):
        set_blocks(body, blocks_of(body)[:-1])

    def hole(pair, body):
        blocks = blocks_of(body)
        set_blocks(body, blocks[:1] + blocks[2:])

    def stale(pair, body):
        set_blocks(body, offered_blocks(pair, 25))

    def one_stale(pair, body):
        blocks = list(blocks_of(body))
        blocks[1] = offered_blocks(pair, 24)[1]
        set_blocks(body, blocks)

    def lost(pair, body):
        body["kv_transfer_params"]["remote_request_id"] += "-of-another"

    return [Fault("last block missing", ANYTHING, missing), Fault("block missing in between", ANYTHING, hole),
            Fault("blocks of another prompt", NO_ANSWER_OF_OURS, stale),
            Fault("one block of another prompt", NO_ANSWER_OF_OURS, one_stale),
            Fault("an offer that is not there", {"refused"}, lost)]


# --- Folders. ---

def files_of(way):
    return {path for path in Path(way.extra["shared_storage_path"]).rglob("*") if path.is_file()}


def in_folder(way):
    """Files are replaced, as writers do it: a reader may have the old one mapped."""
    known = set()

    def remember():
        known.clear()
        known.update(files_of(way))

    def stored():
        """What a leg has stored since. The files' times do not say it: a reader sets them, too."""
        fresh = sorted(files_of(way) - known)
        assert len({path.parent if way.name == "fs-vllm" else path for path in fresh}) == 1, fresh
        remember()
        return fresh

    def rewrite(path, data):
        fresh = path.with_name(path.name + ".changed")
        fresh.write_bytes(data)
        fresh.rename(path)

    def flip_one(pair, body):
        path = stored()[0]
        data = path.read_bytes()
        rewrite(path, flip(data, len(data) - 100))

    def missing(pair, body):
        stored()[0].unlink()

    def shortened(pair, body):
        path = stored()[0]
        data = path.read_bytes()
        rewrite(path, data[:-1000])

    def stale(pair, body):
        here = stored()
        path, other = request(25)
        pair.prefiller.post(path, prefill_leg(other))
        there = stored()
        assert here != there and len(here) == len(there)
        for old, new in zip(here, there):
            rewrite(old, new.read_bytes())

    return [nothing(prepare=remember), Fault("flipped byte in a file", ANYTHING, flip_one, remember),
            Fault("missing file", ANYTHING, missing, remember),
            Fault("shortened file", ANYTHING, shortened, remember),
            Fault("file of another prompt", ANYTHING, stale, remember)]


# --- Redis. ---

def in_redis(redis):
    def keys():
        return set(redis.command(b"KEYS", b"*"))

    def values_of(pair, number):
        before = keys()
        path, body = request(number)
        pair.prefiller.post(path, prefill_leg(body))
        return sorted(keys() - before)

    def largest(found):
        return max(found, key=lambda key: redis.command(b"STRLEN", key))

    state = {"before": keys()}

    def new_keys():
        now = keys()
        fresh, state["before"] = now - state["before"], now
        return [key for key in sorted(fresh) if redis.command(b"TYPE", key) == b"string"]

    def flip_one(pair, body):
        key = largest(new_keys())
        value = redis.command(b"GET", key)
        redis.command(b"SET", key, flip(value, len(value) - 100))

    def missing(pair, body):
        redis.command(b"DEL", largest(new_keys()))

    def stale(pair, body):
        key = largest(new_keys())
        length = redis.command(b"STRLEN", key)
        other = next(k for k in values_of(pair, 25) if redis.command(b"TYPE", k) == b"string"
                     and redis.command(b"STRLEN", k) == length)
        redis.command(b"SET", key, redis.command(b"GET", other))
        state["before"] = keys()

    return [nothing(lambda pair, body: new_keys() and None),
            Fault("flipped byte in a value", ANYTHING, flip_one), Fault("missing value", ANYTHING, missing),
            Fault("value of another prompt", ANYTHING, stale)]


# --- P2P: the decoder's address in the id is a proxy's; both directions, for either side may be the one that sends. ---

def over_p2p(tap):
    """The connection is made ready before the first leg, which sends the bytes."""
    def flip_under_way():
        at = 3000
        change = lambda piece, offset: flip(piece, at - offset) if offset <= at < offset + len(piece) else piece
        tap.data.to_client = tap.data.to_server = change
        tap.data.cut_all()

    def break_off():
        tap.data.to_client = tap.data.to_server = None
        tap.data.cut_after = lambda: 3000
        tap.data.cut_all()

    def heal():
        tap.data.to_client = tap.data.to_server = None
        tap.data.cut_after = lambda: None
        tap.data.cut_all()

    def another_prompt(pair, body):
        body["prompt"] = request(23)[1]["prompt"]
        return 23

    return [nothing(prepare=heal),
            Fault("flipped byte on the connection", ANYTHING, lambda pair, body: None, flip_under_way),
            Fault("connection that breaks off", ANYTHING, lambda pair, body: None, break_off),
            Fault("blocks of another prompt", ANYTHING, another_prompt, heal)]


def counted(pair):
    """Whatever tells an operator that something was not as it should be."""
    decoder = pair.decoder
    return (decoder.metric("kvasir_kv_transfer_failures_total"), decoder.metric("kvasir_kv_refused_peers_total"),
            decoder.metric("vllm:nixl_num_failed_transfers_total"))


def what_followed(pair, answer, expected, before, external):
    texts = answer.texts()
    if texts is None:
        return "refused" if answer.status >= 400 else f"neither an answer nor an error: {answer.status} {answer.problem}"
    if texts != expected:
        return "changed"
    if counted(pair) != before or external < pair.whole_tokens:
        return "noticed"
    return "UNNOTICED"


def faults_of(way, tap, redis):
    if way.kind == "nixl":
        where = nixl_in_shared_memory() if way.extra.get("transport") == "shm" else nixl_over_tcp(tap)
        return where + nixl_announced()
    if way.kind == "fs":
        return in_folder(way)
    if way.kind == "lmcache":
        return in_redis(redis)
    return over_p2p(tap)


def check_way(kvasir, way, policy, wanted, redis):
    pair, loop, tap = Pair(kvasir, way, policy), Loop(), None
    problems = []
    try:
        path, body = request(0)
        untouched = pair.both(path, body)
        assert untouched.texts() == wanted[0], f"{way.name}, nothing wrong: {untouched.status} {untouched.body[:300]}"
        pair.whole_tokens = pair.decoder.metric("vllm:external_prefix_cache_hits_total")
        assert pair.whole_tokens > 64, f"{way.name}: {pair.whole_tokens} tokens came"
        if way.kind == "nixl":
            tap = Tap(loop, pair.prefiller.side_port, Tap.NIXL)
        elif way.kind == "p2p":
            # Who asks is the client: the decoder with GET, else the prefiller.
            gets = way.extra.get("send_type") == "GET"
            tap = Tap(loop, (pair.prefiller if gets else pair.decoder).kv_port, Tap.P2P)
            setattr(pair, "prefiller_kv_port" if gets else "decoder_kv_port", tap.side.port)
        for number, fault in enumerate(faults_of(way, tap, redis), start=1):
            path, body = request(number)
            before = counted(pair)
            had = pair.decoder.metric("vllm:external_prefix_cache_hits_total")
            fault.prepare()
            decoded = [number]
            answer = pair.both(path, body, lambda second: decoded.append(fault.act(pair, second)))
            wanted_now = wanted[number if decoded[-1] is None else decoded[-1]]
            came = pair.decoder.metric("vllm:external_prefix_cache_hits_total") - had
            followed = what_followed(pair, answer, wanted_now, before, came)
            passed = followed in fault.may_follow or (policy == "recompute" and followed == "noticed")
            print(f"{way.name}, {policy}: {fault.name}: {followed}" + ("" if passed else "  <-- must not be"), flush=True)
            if not passed:
                problems.append(f"{way.name}: {fault.name}: {followed}")
    finally:
        if tap is not None:
            tap.close()
        pair.close()
        loop.close()
    return problems


def run(kvasir, ways, redis):
    wanted = references(kvasir, [request(number) for number in range(24)], every_reason=False)
    problems = []
    for way in ways:
        for policy in ("fail", "recompute"):
            if way.kind == "lmcache":
                redis.command(b"FLUSHALL")
            if way.kind == "fs":
                shutil.rmtree(way.extra["shared_storage_path"])
                Path(way.extra["shared_storage_path"]).mkdir()
            problems += check_way(kvasir, way, policy, wanted, redis)
    return not problems
