"""The objects of examples/kubernetes in the cluster of a real node."""
from checks import Skipped
from client import post
from machine import ROOT, wait_until

ARCHIVE = ROOT / "build/image/kvasir-docs.tar"
SERVING = "llm-serving"
MODEL = "meta-llama/Llama-2-70b-hf"
PORT = 8000  # of the pool: decode workers' sidecars, and prefill workers
DECODE, PREFILL = "llm-decode-worker", "llm-prefill-worker"
DEPLOYMENTS = {SERVING: ("vllm-decode-worker", DECODE, PREFILL, "vllm-batch-worker"), "llm-d-system": ("endpoint-picker",)}
LONG = "long enough to fill a block or two of the cache "


def start_examples(world):
    """Applies them; returns when they are Ready. Once more changes nothing."""
    if not ARCHIVE.exists():
        raise Skipped(f"there is no {ARCHIVE}: make image-docs ARGS='--tutorial-names --pip aiperf'")
    world.node.import_image(ARCHIVE)
    kubectl = world.plane.kubectl
    for kinds in ("deploy/crds", "examples/kubernetes/crds"):
        kubectl("apply", "--server-side", "-k", ROOT / kinds)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    kubectl("apply", "-k", ROOT / "examples/kubernetes")
    for name_space, deployments in DEPLOYMENTS.items():
        for deployment in deployments:
            kubectl("-n", name_space, "rollout", "status", f"deployment/{deployment}", "--timeout=120s")


def pods_of(world, app):
    """Address by name, of those that are Ready and stay."""
    found = {}
    for pod in world.api.list("Pod", SERVING):
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
        if pod["metadata"]["labels"].get("app") == app and ready and "deletionTimestamp" not in pod["metadata"]:
            found[pod["metadata"]["name"]] = pod["status"]["podIP"]
    return found


def ask(address, prompt, prefiller=None, port=PORT):
    """One completion, of which `prefiller` (HOST:PORT) is named as prefill worker."""
    headers = {"x-prefiller-host-port": prefiller} if prefiller else {}
    return post(port, {"model": MODEL, "prompt": prompt, "max_tokens": 8, "temperature": 0}, headers, host=address)


def ask_each_decode_worker(world):
    """Each has a prompt prefilled elsewhere."""
    prefiller = next(iter(pods_of(world, PREFILL).values()))
    for name, address in pods_of(world, DECODE).items():
        wait_until(lambda: ask(address, f"{name}: " + LONG * 4, f"{prefiller}:{PORT}").status == 200, f"{name} does not answer")
