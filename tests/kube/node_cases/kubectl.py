"""The tutorials' kubectl lines that run today, word for word (kubectl_lines.tsv), on examples/kubernetes."""
import os
import subprocess

import binaries
import kubectl_lines
from checks import require
from examples import ask_each_decode_worker, start_examples
from machine import wait_until

from node_cases.pairs import start_pairs

METRICS_SECONDS = 90
PACKAGES = ["aiperf"]  # of Python: make image-docs ARGS="--pip PACKAGE"


def every_line_that_runs_now(namespace):
    """Each line marked `now` prints what it should; the table is told how it went."""
    world = namespace.world
    kubectl = world.plane.kubectl
    start_examples(world)
    start_pairs(kubectl)
    # Where inference.networking.k8s.io is installed too, `kubectl get inferencepool` means that group.
    kubectl("apply", "-f", "-", stdin=POOL)
    folder = world.folder / "kubectl"
    folder.mkdir()
    # In this context kubectl is changed (its namespace), so the file is its own.
    config = folder / "kubeconfig"
    config.write_text(open(world.plane.kubeconfig, encoding="utf-8").read())
    runner = kubectl_lines.Runner({**os.environ, "KUBECONFIG": str(config), "PATH": f"{binaries.folder()}/bin:{os.environ['PATH']}"},
                                  folder, installed(world))
    results, failed = {}, []
    printed = namespace.stack.enter_context(open(folder / "printed", "w", encoding="utf-8"))  # for people, with --keep
    for line in kubectl_lines.read_lines():
        if not line.runs_now():
            continue
        if line.place("requests"):
            ask_the_picker(world)
        if line.place("prefills"):
            ask_each_decode_worker(world)
        if "aiperf-benchmark" in line.expected and " get pods" in line.command:
            kubectl("-n", "benchmark", "wait", "--for=condition=Ready", "pod", "-l", "job-name=aiperf-benchmark", "--timeout=60s")
        try:
            printed.write(f"== {line.at}: {line.command}\n{runner.run(line)}")
            results[line.at] = "ok"
        except kubectl_lines.Skip as reason:
            results[line.at] = f"not tried: {reason}"
        except AssertionError as error:
            results[line.at] = "failed"
            failed.append(f"{line.at}: {line.command}: {error}")
    if os.environ.get("KUBECTL_LINES_WRITE"):
        kubectl_lines.write_results(results)
    require(not failed, "\n".join(failed))
    return f"{sum(result == 'ok' for result in results.values())} lines, {sum(result != 'ok' for result in results.values())} not tried"


POOL = """
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: llama-70b-pool, namespace: llm-serving}
spec: {selector: {matchLabels: {model: llama-70b, role: inference}}, targetPorts: [{number: 8000}]}
"""


def installed(world):
    """metrics-server, once `kubectl top` knows the pods, and those of PACKAGES that the images have."""
    kubectl, has = world.plane.kubectl, set()
    if not binaries.missing(["metrics-server"]):
        wait_until(lambda: "vllm-decode-worker" in kubectl("-n", "llm-serving", "top", "pods", check=False),
                   "`kubectl top pods` knows no worker", METRICS_SECONDS)
        has.add("metrics-server")
    for package in PACKAGES:
        folders = f"ls -d /opt/dynamo/venv/lib/python3*/site-packages/{package}"
        if package in kubectl("-n", "llm-serving", "exec", "deploy/vllm-decode-worker", "--", "sh", "-c", folders, check=False):
            has.add(package)
    return has


def ask_the_picker(world):
    """Some decisions, for its log."""
    service = world.api.get("Service", "llm-d-system", "endpoint-picker")["spec"]["clusterIP"]
    subprocess.run([world.kvasir, "conformance", "epp", "--target", f"{service}:9000"], capture_output=True, check=False, timeout=120)
