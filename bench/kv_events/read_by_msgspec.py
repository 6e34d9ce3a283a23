"""Reads frames from standard input (kind, length and bytes each) by msgspec, into structures as vLLM defines its events, and
prints {kind: GB/s} of the best run, by processor time."""
import json
import struct
import sys
import time

import msgspec


class Event(msgspec.Struct, tag=True, omit_defaults=True):
    pass


class BlockStored(Event):
    block_hashes: list[int | bytes]
    parent_block_hash: int | bytes | None
    token_ids: list[int]
    block_size: int
    lora_id: int | None
    medium: str | None
    lora_name: str | None
    extra_keys: list[tuple | None] | None = None
    group_idx: int | None = None
    kv_cache_spec_kind: str | None = None


class BlockRemoved(Event):
    block_hashes: list[int | bytes]
    medium: str | None
    group_idx: int | None = None


class AllBlocksCleared(Event):
    pass


class Batch(msgspec.Struct, array_like=True, omit_defaults=True):
    ts: float
    events: list[BlockStored | BlockRemoved | AllBlocksCleared]
    data_parallel_rank: int | None = None


def main():
    data, at, frames = sys.stdin.buffer.read(), 0, {}
    while at < len(data):
        kind, length = struct.unpack_from("<16sI", data, at)
        at += 20
        frames.setdefault(kind.rstrip(b"\0").decode(), []).append(data[at : at + length])
        at += length
    decoder = msgspec.msgpack.Decoder(Batch)
    speeds = {}
    for kind, batches in frames.items():
        size = sum(map(len, batches))
        rounds = max(1, 20_000_000 // size)
        best = float("inf")
        for _ in range(int(sys.argv[1])):
            began = time.process_time()
            for _ in range(rounds):
                for batch in batches:
                    decoder.decode(batch)
            best = min(best, time.process_time() - began)
        speeds[kind] = size * rounds / best / 1e9
    print(json.dumps(speeds))


main()
