"""Prefill and decode workers behind proxies: examples/kubernetes/disaggregated-serving."""
import json

from checks import Skipped, require
from examples import ARCHIVE
from machine import ROOT

PAIRS = ROOT / "examples/kubernetes/disaggregated-serving/vllm"
PROMPT = "long enough to fill a block or two of the cache " * 4


def start_pairs(kubectl):
    """Those of both backends, each pair behind its proxy."""
    for name in ("fs-kv-same-node.yaml", "p2p-nccl-same-node.yaml", "p2p-proxy-ubi.yaml"):
        kubectl("apply", "-f", PAIRS / name)
    kubectl("-n", "llm-d-vllm", "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    for proxy in ("vllm-fs-proxy", "vllm-p2p-proxy"):
        kubectl("-n", "llm-d-vllm", "rollout", "status", f"deployment/{proxy}", "--timeout=60s")


def blocks_travel_between_the_pods_of_a_pair(namespace):
    """Both backends answer alike, name their pair in the id, and the decode pods read the blocks: the id alone says nothing of that."""
    if not ARCHIVE.exists():
        raise Skipped(f"there is no {ARCHIVE}: make image-docs")
    world = namespace.world
    world.node.import_image(ARCHIVE)
    start_pairs(world.plane.kubectl)

    def curl(pod, *arguments):
        return world.plane.kubectl("-n", "llm-d-vllm", "exec", pod, "--", "curl", "-sS", *arguments)

    texts, told = set(), []
    for backend, port in (("fs", ""), ("p2p", ":14579")):
        decoder = f"vllm-decode-{backend}"
        body = json.dumps({"model": "Qwen/Qwen3-Coder-30B-A3B-Instruct", "prompt": PROMPT, "max_tokens": 5})
        answer = json.loads(curl(decoder, f"http://vllm-{backend}-proxy:8080/v1/completions", "-H", "Content-Type: application/json", "-d", body))
        require(f"___prefill_addr_vllm-prefill-{backend}{port}___decode_addr_{decoder}{port}_" in answer["id"], answer)
        texts.add(answer["choices"][0]["text"])
        page = curl(decoder, "http://localhost:8000/metrics").splitlines()
        read = {name: sum(float(line.rsplit(" ", 1)[1]) for line in page if line.startswith(name))
                for name in ("vllm:external_prefix_cache_hits_total", "kvasir_kv_transfer_bytes_total")}
        require(all(read.values()), f"{decoder} read nothing: {read}")
        told.append(f"{backend}: {read['kvasir_kv_transfer_bytes_total']:.0f} bytes")
    require(len(texts) == 1, f"the backends differ: {texts}")
    return ", ".join(told)
