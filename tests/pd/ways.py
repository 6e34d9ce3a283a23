"""How KV blocks get from a prefill worker to a decode worker, and how the two legs of a request go each way."""

import struct
import uuid
from dataclasses import dataclass, field

from fleet import HOST, Worker
from requests_mix import prefill_leg
from tcp_proxy import TcpProxy


@dataclass
class Way:
    name: str
    kind: str  # nixl, fs, lmcache, p2p
    connector: str
    extra: dict = field(default_factory=dict)
    decoder_extra: dict = field(default_factory=dict)  # of the decode worker alone

    def extra_of(self, name):
        return {**self.extra, **(self.decoder_extra if name == "decoder" else {})}


def all_ways(folder, redis_port):
    """`redis_port`: None: there is no Redis, and no way through it."""
    store = {"connector": "ExampleConnector"}
    link = {"link_gb_per_s": 50}  # so that there is a way to be on
    ways = [
        Way("nixl-tcp", "nixl", "NixlConnector"),
        Way("nixl-tcp-pipelined", "nixl", "NixlConnector", {"pipelining": True, **link}),
        Way("nixl-shm", "nixl", "NixlConnector", {"transport": "shm"}),
        Way("nixl-shm-pipelined", "nixl", "NixlConnector", {"transport": "shm", "pipelining": True, **link}),
        Way("fs-vllm", "fs", **store, extra={"shared_storage_path": f"{folder}/vllm"}),
        Way("fs-kvasir", "fs", **store, extra={"shared_storage_path": f"{folder}/kvasir", "layout": "kvasir"}),
        Way("p2p", "p2p", "P2pNcclConnector"),
        Way("p2p-pipelined", "p2p", "P2pNcclConnector", {"pipelining": True, **link}),
        Way("p2p-get", "p2p", "P2pNcclConnector", {"send_type": "GET"}),
        Way("p2p-put", "p2p", "P2pNcclConnector", {"send_type": "PUT"}),
    ]
    if redis_port is not None:
        ways.append(Way("lmcache", "lmcache", "LMCacheConnectorV1", {"remote_url": f"redis://{HOST}:{redis_port}"}))
    return ways


def compressed_ways(folder, redis_port):
    """Of the first two the prefill worker shares no memory, so that its blocks travel over TCP, compressed; the decode
    worker does, so that the test can look at what came."""
    int8 = {"compression": "int8"}
    decoder = {"transport": "shm", **int8}
    ways = [
        Way("nixl-tcp-int8", "nixl", "NixlConnector", decoder_extra=decoder),
        Way("nixl-tcp-int8-pipelined", "nixl", "NixlConnector", decoder_extra={**decoder, "pipelining": True}),
        Way("fs-kvasir-int8", "fs", "ExampleConnector",
            {"shared_storage_path": f"{folder}/int8", "layout": "kvasir", **int8}),
        Way("p2p-int8", "p2p", "P2pNcclConnector", int8),
    ]
    if redis_port is not None:
        ways.append(Way("lmcache-int8", "lmcache", "LMCacheConnectorV1",
                        {"remote_url": f"redis://{HOST}:{redis_port}", **int8}))
    return ways


class Pair:
    """A prefill and a decode worker, driven by hand."""

    def __init__(self, kvasir, way, policy="fail"):
        self.way = way
        self.prefiller = self.decoder = None
        self.prefiller = Worker(kvasir, "prefiller", way, policy)
        self.prefiller.wait_ready()
        self.decoder = Worker(kvasir, "decoder", way, policy)
        self.decoder.wait_ready()
        # P2P: where they reach each other.
        self.prefiller_kv_port, self.decoder_kv_port = self.prefiller.kv_port, self.decoder.kv_port

    def close(self):
        for worker in (self.prefiller, self.decoder):
            if worker is not None:
                worker.close()

    def headers(self):
        if self.way.kind != "p2p":
            return {}
        return {"X-Request-Id": f"___prefill_addr_{HOST}:{self.prefiller_kv_port}"
                                f"___decode_addr_{HOST}:{self.decoder_kv_port}_{uuid.uuid4().hex}"}

    def prefill(self, path, body, headers):
        """The prefill worker's answer, and the body of the decode leg."""
        first = prefill_leg(body)
        if self.way.kind == "nixl":
            first["kv_transfer_params"] = {"do_remote_decode": True}
        answer = self.prefiller.post(path, first, headers)
        params = (answer.json() or {}).get("kv_transfer_params")
        return answer, {**body, "kv_transfer_params": params} if params else dict(body)

    def both(self, path, body, between=None):
        """`between(decode body)` is called between the legs, and may change what it is given."""
        headers = self.headers()
        answer, second = self.prefill(path, body, headers)
        if answer.texts() is None:
            return answer
        if between is not None:
            between(second)
        return self.decoder.post(path, second, headers)


class Tap:
    """Who reaches a worker's control port through this reaches its data port through this as well: the worker says it
    in msgpack, a 16-bit number behind `mark`."""

    NIXL = b"data_port\xcd"
    P2P = b"\xa4port\xcd"

    def __init__(self, loop, control_port, mark):
        self.mark = mark
        self.data_port = None
        self.data = TcpProxy(loop, lambda: self.data_port)
        self.side = TcpProxy(loop, control_port)
        self.side.to_client = self.divert

    def divert(self, piece, offset):
        at = piece.find(self.mark)
        if at < 0:
            return piece
        at += len(self.mark)
        port = struct.unpack(">H", piece[at:at + 2])[0]
        if port == 0:
            return piece
        self.data_port = port
        return piece[:at] + struct.pack(">H", self.data.port) + piece[at + 2:]

    def close(self):
        self.data.close()
        self.side.close()
