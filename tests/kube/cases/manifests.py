"""What the tree offers for kubectl and Helm, held against a real API server: strict validation, nothing is stored."""
import json
import os
import shutil
import subprocess

import binaries
from checks import Skipped, require
from machine import ROOT

NAMESPACES = ("kvasir-demo", "llm-d-system", "llm-serving", "benchmark", "models")
FOLDERS = ("deploy/crds", "deploy/gateway", "deploy/epp", "deploy/kv-cache-manager", "deploy/demo/base", "deploy/demo", "examples/kubernetes")
OPTIONS = ("epp-replicas", "epp-leader-election", "epp-topology", "epp-pod-disruption-budget", "epp-network-policy",
           "gateway-pod-disruption-budget", "gateway-network-policy", "gateway-keys")  # the service monitors are of a kind that is not here
TUTORIAL_KINDS = "examples/kubernetes/crds"
POOL = """
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: p}
spec: {selector: {matchLabels: {app: a}}, targetPorts: [{number: 1}]}
"""
REFUSED_POOLS = {
    "port number must be unique": ("[{number: 1}]", "[{number: 1}, {number: 1}]"),
    "port is required when kind is 'Service'": ("[{number: 1}]", "[{number: 1}], endpointPickerRef: {name: e}"),
    "should be less than or equal to 65535": ("number: 1", "number: 65536"),
    "spec.selector.matchLabels": ("{app: a}", "{}"),
    "spec.targetPorts: Required": (", targetPorts: [{number: 1}]", ""),
    "Unsupported value": ("[{number: 1}]", "[{number: 1}], appProtocol: quic"),
}
# Options of deploy/options, values of the chart, and the flags of kvasir kube rbac that say the same.
RIGHTS = (
    ("gateway", (), ("gateway.enabled=true", "router.epp.enabled=false"), ()),
    ("epp", (), (), ()),
    ("epp", ("epp-replicas",), ("router.epp.replicas=2",), ("--peers-service", "kvasir-epp-peers")),
    ("epp", ("epp-topology",), ("nodeLabels=true",), ("--node-labels",)),
)
CHART_VALUES = (
    ["workers.enabled=true", "gateway.enabled=true"],
    ["workers.enabled=true", "gateway.enabled=true", "gateway.keysSecret=kvasir-gateway-keys"],
    ["router.modelServers.matchLabels.app=vllm", "router.epp.replicas=2", "podDisruptionBudget.enabled=true",
     "networkPolicy.enabled=true", "nodeLabels=true", "router.inferenceObjectives[0].name=high",
     "router.inferenceObjectives[0].priority=5"],
    ["router.modelServers.matchLabels.app=vllm", "router.epp.replicas=2", "router.epp.leaderElection=true"],
    ["router.modelServers.matchLabels.app=vllm", "router.inferencePool.create=false", "gateway.enabled=true"],
)


def _kubectl(namespace, *arguments, stdin=None, check=True):
    return namespace.world.plane.kubectl(*arguments, stdin=stdin, check=check)


def _dry_run(namespace, *arguments, stdin=None):
    return _kubectl(namespace, "apply", "--dry-run=server", "--validate=strict", *arguments, stdin=stdin)


def _make_namespaces(namespace, names=NAMESPACES):
    for name in names:
        _kubectl(namespace, "create", "namespace", name, check=False)


def folders_of_deploy_are_taken(namespace):
    """`kubectl apply -k` of every folder of deploy/ and examples/, with every option."""
    _make_namespaces(namespace)
    _kubectl(namespace, "apply", "--server-side", "--force-conflicts", "-k", ROOT / TUTORIAL_KINDS)
    _kubectl(namespace, "wait", "--for=condition=Established", "crd/inferencepools.serving.kserve.io", "--timeout=30s")
    objects = 0
    for folder in FOLDERS:
        objects += len(_dry_run(namespace, "-k", ROOT / folder).splitlines())
    objects += len(_dry_run(namespace, "-f", ROOT / "examples/kubernetes/benchmark-job.yaml").splitlines())
    for option in OPTIONS:
        folder = namespace.world.folder / f"with-{option}"
        folder.mkdir()
        program = option.split("-")[0]
        (folder / "kustomization.yaml").write_text(
            f"namespace: models\nresources: [{os.path.relpath(ROOT / 'deploy' / program, folder)}]\n"
            f"components: [{os.path.relpath(ROOT / 'deploy/options' / option, folder)}]\n")
        objects += len(_dry_run(namespace, "-k", folder).splitlines())
    return f"{objects} objects"


def our_definitions_refuse_what_upstreams_refuse(namespace):
    """deploy/crds: the rules that matter, each with an InferencePool that breaks it."""
    _kubectl(namespace, "apply", "--server-side", "--force-conflicts", "-k", ROOT / "deploy/crds")
    _kubectl(namespace, "wait", "--for=condition=Established", "crd/inferencepools.inference.networking.k8s.io", "--timeout=30s")
    _dry_run(namespace, "-f", "-", stdin=POOL)
    for reason, (before, after) in REFUSED_POOLS.items():
        require(before in POOL, before)
        pool = POOL.replace(before, after)
        try:
            said = "taken: " + _dry_run(namespace, "-f", "-", stdin=pool)
        except RuntimeError as error:
            said = str(error)
        require(reason in said, f"{reason}: {said}")
    return f"{len(REFUSED_POOLS)} rules"


def the_chart_is_taken(namespace):
    """`helm lint`, and `helm template` with four sets of values, given to the API server."""
    helm = _helm()
    if not helm:
        raise Skipped(f"helm is not there: {binaries.BUILD} helm")
    chart = ROOT / "deploy/chart/kvasir"
    _make_namespaces(namespace)
    objects = 0
    for values in CHART_VALUES:
        flags = [flag for value in values for flag in ("--set", value)]
        subprocess.run([helm, "lint", "--strict", chart, *flags], check=True, capture_output=True)
        text = subprocess.run([helm, "template", "demo", chart, "-n", "models", "--kube-version", binaries.VERSION, *flags],
                              check=True, capture_output=True, text=True).stdout
        objects += len(_dry_run(namespace, "-n", "models", "-f", "-", stdin=text).splitlines())
    return f"{objects} objects"


def rights_are_those_that_kvasir_prints(namespace):
    """The rules of deploy/, its options and the chart are what `kvasir kube rbac` prints."""
    for program, options, values, flags in RIGHTS:
        wanted = subprocess.run([namespace.world.kvasir, "kube", "rbac", "--name", f"kvasir-{program}", "--pool-name", "kvasir-pool",
                                 "--pool-namespace", "models", *flags], check=True, capture_output=True, text=True).stdout
        wanted = _rules(namespace, wanted)
        require(_rules(namespace, _kustomized(namespace, program, options)) == wanted, f"deploy/{program} with {options}: {wanted}")
        helm = _helm()
        if helm:
            flags = [flag for value in ("router.modelServers.matchLabels.app=vllm", *values) for flag in ("--set", value)]
            text = subprocess.run([helm, "template", "kvasir-pool", ROOT / "deploy/chart/kvasir", "-n", "models", "--kube-version",
                                   binaries.VERSION, *flags], check=True, capture_output=True, text=True).stdout
            require(_rules(namespace, text) == wanted, f"the chart with {values}: {wanted}")
    return f"{len(RIGHTS)} programs and options" + ("" if _helm() else ", without the chart: helm is not there")


def _rules(namespace, text):
    """Every rule of the roles in YAML, each as text, in order."""
    roles = "\n---\n".join(part for part in text.split("\n---\n") if "Role\n" in part)
    rest = _kubectl(namespace, "create", "--dry-run=client", "-o", "json", "-f", "-", stdin=roles)
    rules = []
    while rest.strip():
        read, end = json.JSONDecoder().raw_decode(rest.strip())
        rest = rest.strip()[end:]
        for role in read.get("items", [read]):
            rules += [(role["kind"], json.dumps(rule, sort_keys=True)) for rule in role.get("rules", [])]
    return sorted(rules)


def _kustomized(namespace, program, options):
    folder = namespace.world.folder / "-".join(["rights", program, *options])
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(
        f"namespace: models\nresources: [{os.path.relpath(ROOT / 'deploy' / program, folder)}]\ncomponents: "
        + json.dumps([os.path.relpath(ROOT / "deploy/options" / option, folder) for option in options]) + "\n")
    return _kubectl(namespace, "kustomize", folder)


def _helm():
    return binaries.program("helm") if os.access(binaries.program("helm"), os.X_OK) else shutil.which("helm")
