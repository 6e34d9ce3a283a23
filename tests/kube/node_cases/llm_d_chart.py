"""`kvasir epp` in the pods that llm-d's charts render: nothing is changed but values, of which the image is one."""
import json
import os
import shutil
import signal
import subprocess
import time

import binaries
from checks import Skipped, require
from front import post_to
from image import make_image
from machine import ROOT, answers, wait_until
from pods import kill_containers, libraries, metric, open_streams
from programs import LEASE_SECONDS, TRY_SECONDS
from world import define_kinds

from client import completion, post
from envoy_config import Shape

MODEL = "Qwen/Qwen3-32B"
RELEASE = "vllm-pool"
PICKER = f"{RELEASE}-epp"  # as the chart names what belongs to the picker
WORKERS = 3
PRIORITIES = {"chat": 5, "batch": -1}
WEIGHTS = {"small": 70, "large": 25, "canary": 5}
REQUESTS, OFF_BY = 10_000, 0.02
PORT = 9002
PROBE_SECONDS = 2  # of the chart's readiness probe
STREAMS = 8  # on each endpoint that is to look busy
ASKED = 12
GATEWAY, STANDALONE = "llm-d-router-gateway", "llm-d-router-standalone"
ENVOY = "localhost/envoy:1"
# The chart's ports are open; an API server that has just got to know a kind says so for a moment; and this machine is slow.
HARMLESS = ("without authentication", "storage is (re)initializing", "more often cannot be kept up")
SMALL = {"requests": {"cpu": "50m", "memory": "64Mi"}}  # the chart's own want more than this machine has


class Chart:
    """A release of a chart in the case's namespace, with three workers that have its label. `router`: values beside `epp`."""

    def __init__(self, namespace, chart, time_scale, router=None, **epp):
        self.namespace, self.api = namespace, namespace.api
        version = namespace.kvasir("--version").split()[-1]
        define_kinds(namespace.plane, ROOT / "deploy/crds")
        namespace.wait_for_service_account()
        image = {"registry": "localhost", "repository": "kvasir-epp", "tag": version, "pullPolicy": "Never"}
        self.text = _render(namespace, chart, {"router": {
            "modelServers": {"matchLabels": {"app": "vllm"}}, "epp": {"image": image, "resources": SMALL, **epp}, **(router or {})}})
        namespace.kubectl("apply", "-f", "-", stdin=_workers(version, time_scale))
        namespace.kubectl("rollout", "status", "deployment/workers", "--timeout=60s")
        namespace.kubectl("apply", "-f", "-", stdin=self.text)

    def arguments(self):
        containers = self.api.get("Deployment", self.namespace.name, PICKER)["spec"]["template"]["spec"]["containers"]
        return " ".join(next(container["args"] for container in containers if container["name"] == "epp"))

    def pickers(self, ready=None):
        """Pods of pickers by name: those that run, or those that are Ready or not."""
        found = {}
        for pod in self.api.list("Pod", self.namespace.name):
            status = pod["status"]
            is_ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
            if pod["metadata"]["name"].startswith(PICKER) and status.get("phase") == "Running" and ready in (None, is_ready):
                found[pod["metadata"]["name"]] = pod
        return found

    def wait_for_pickers(self, running, ready):
        wait_until(lambda: len(self.pickers()) == running and len(self.pickers(ready=True)) == ready, self.picture, 60)
        return self.pickers()

    def picture(self):
        """For people, when something does not come about."""
        return self.namespace.kubectl("get", "pods", "-o", "wide") + self.logs()

    def logs(self):
        return "".join(self.namespace.kubectl("logs", name, "-c", "epp", "--tail=30", check=False) for name in self.pickers())

    def require_no_troubles(self):
        """Each line of a picker is JSON, as the chart's --zap-encoder wants it, and none tells of trouble: the chart's rights
        suffice."""
        for name in self.pickers():
            for line in self.namespace.kubectl("logs", name, "-c", "epp").splitlines():
                level = json.loads(line)["level"]
                require(level == "info" or any(words in line for words in HARMLESS), line)

    def address(self, picker):
        return self.pickers()[picker]["status"]["podIP"]

    def service(self, port):
        """The Service's address, as soon as somebody answers there: kube-proxy takes a moment."""
        address = self.api.get("Service", self.namespace.name, PICKER)["spec"]["clusterIP"]
        wait_until(lambda: answers(address, port), self.picture)
        return address, port

    def workers(self):
        """Addresses of their pods."""
        return [pod["status"]["podIP"] for pod in self.api.list("Pod", self.namespace.name)
                if pod["metadata"]["name"].startswith("workers")]


def _render(namespace, chart, values):
    helm, folder = _helm_and_charts(namespace)
    subprocess.run([helm, "dependency", "build", folder / chart], check=True, capture_output=True)
    command = [helm, "template", RELEASE, folder / chart, "-n", namespace.name, "--kube-version", binaries.VERSION, "-f", "-"]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"helm: {done.stderr}")
    return done.stdout


def _helm_and_charts(namespace):
    """The charts as a copy, for helm writes into their folders."""
    charts = namespace.world.llm_d_charts
    if charts is None:
        raise Skipped("--llm-d-charts names no folder of llm-d-router's charts")
    helm = binaries.program("helm") if os.access(binaries.program("helm"), os.X_OK) else shutil.which("helm")
    if not helm:
        raise Skipped(f"helm is not there: {binaries.BUILD} helm")
    return helm, shutil.copytree(charts, namespace.folder() / "charts", dirs_exist_ok=True)


def _workers(version, time_scale):
    container = {"name": "worker", "image": f"localhost/kvasir:{version}", "imagePullPolicy": "Never",
                 "args": ["worker", MODEL, "--port=8000", f"--time-scale={time_scale}", "--served-model-name", MODEL, *WEIGHTS],
                 "ports": [{"containerPort": 8000}], "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "workers"}, "spec": {
        "replicas": WORKERS, "selector": {"matchLabels": {"app": "vllm"}}, "template": {
            "metadata": {"labels": {"app": "vllm"}}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 2}}}}


def routes_with_priorities_and_rewrites(namespace):
    """Two replicas with leader election: three pods get requests, objectives give priorities, 10,000 rewrites by weight;
    the leader killed, the other serves within its lease."""
    objectives = [{"name": name, "priority": priority} for name, priority in PRIORITIES.items()]
    chart = Chart(namespace, GATEWAY, time_scale=200, router={"inferenceObjectives": objectives}, replicas=2)
    chart.wait_for_pickers(running=2, ready=1)
    leader, = chart.pickers(ready=True)
    standby, = chart.pickers(ready=False)
    told = [f"args: {chart.arguments()}"]
    service = namespace.envoy_before([chart.service(PORT)], shape=Shape(tls=True, second_chance=True))
    told.append(_routes(service))
    told.append(_priorities(service, chart.address(leader)))
    told.append(_rewrites(namespace, service, chart.address(leader)))
    chart.require_no_troubles()
    told.append(_leader_is_killed(namespace, chart, service, leader, standby))
    return "\n".join(told)


def _routes(front):
    answers = [front.post(model=MODEL, prompt=f"{number} to be or not to be") for number in range(60)]
    statuses = sorted({answer.status for answer in answers})
    served = sorted({answer.served() for answer in answers})
    require(statuses == [200], f"answers: {statuses}: {answers[-1].body[:300]}")
    require(len(served) == WORKERS, f"only {served} get requests")
    return f"{len(answers)} requests: {statuses}, by {', '.join(served)}"


def _priorities(front, address):
    found = []
    for objective, priority in ({**PRIORITIES, "unknown": 0}).items():
        before = metric(address, "llm_d_epp_request_total", f'priority="{priority}"')
        front.post(headers={"x-llm-d-inference-objective": objective})
        more = metric(address, "llm_d_epp_request_total", f'priority="{priority}"') - before
        require(more == 1, f"{objective} does not mean priority {priority}")
        found.append(f"{objective} {priority}")
    return "priorities: " + ", ".join(found)


def _rewrites(namespace, front, address):
    namespace.rewrite("by-weight", [
        {"matches": [{"model": {"value": "assistant"}}],
         "targets": [{"modelRewrite": model, "weight": weight} for model, weight in WEIGHTS.items()]}], pool=RELEASE)
    wait_until(lambda: front.post(model="assistant").status == 200, "the rewrite is not used", 5)
    before = {model: metric(address, "llm_d_epp_request_total", f'target_model_name="{model}"') for model in WEIGHTS}
    statuses = front.post_many({"model": "assistant", "prompt": "hi", "max_tokens": 1}, REQUESTS)
    require(set(statuses) == {200}, f"answers: {dict(statuses)}")
    shares = {}
    for model, weight in WEIGHTS.items():
        count = metric(address, "llm_d_epp_request_total", f'target_model_name="{model}"') - before[model]
        shares[model] = count / REQUESTS
        require(abs(shares[model] - weight / 100) <= OFF_BY, f"{model} has {shares[model]:.1%} instead of {weight} %")
    return f"{REQUESTS} rewrites: " + ", ".join(f"{model} {share:.2%}" for model, share in shares.items())


def _leader_is_killed(namespace, chart, service, leader, standby):
    """By SIGKILL of its container. A gateway that knows the pods, Ready or not, asks the other at once; one that goes by the
    Service waits until the other leads."""
    pods = namespace.envoy_before([(chart.address(name), PORT) for name in (leader, standby)], ready=1,
                                  shape=Shape(tls=True, second_chance=True))
    require(pods.post(model=MODEL).status == 200, "the leader does not serve")
    kill_containers(chart.pickers()[leader]["metadata"]["uid"], signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: pods.post(model=MODEL).status == 200, chart.picture, 2 * LEASE_SECONDS, 0.1)
    by_pods = time.monotonic() - killed
    require(metric(chart.address(standby), "llm_d_epp_request_total") > 0, "it was not the other that served")
    wait_until(lambda: metric(chart.address(standby), "kvasir_kube_leader") == 1, chart.picture, 2 * LEASE_SECONDS, 0.1)
    leads = time.monotonic() - killed
    wait_until(lambda: service.post(model=MODEL).status == 200, chart.picture, 2 * LEASE_SECONDS, 0.1)
    by_service = time.monotonic() - killed
    require(leads <= LEASE_SECONDS + TRY_SECONDS, f"the other leads only after {leads:.1f} s")
    require(by_service <= leads + PROBE_SECONDS + TRY_SECONDS, f"it serves only {by_service:.1f} s after the kill")
    return (f"leader killed: by the pods' addresses served after {by_pods:.1f} s, the other leads after {leads:.1f} s (lease "
            f"{LEASE_SECONDS} s), served through the Service after {by_service:.1f} s")


def replicas_share_load(namespace):
    """Two replicas without leader election find each other by the chart's Service: one knows the other's load."""
    _helm_and_charts(namespace)
    namespace.wait_for_service_account()
    namespace.kubectl("create", "secret", "generic", "peers", "--from-literal=secret=the secret of these pickers")
    namespace.kubectl("apply", "-f", "-", stdin=namespace.kvasir(
        "kube", "rbac", "--name", "peers", "--pool-name", RELEASE, "--pool-namespace", namespace.name, "--peers-service", PICKER))
    namespace.kubectl("create", "rolebinding", "peers-of-the-chart", "--role=peers", f"--serviceaccount={namespace.name}:{PICKER}")
    chart = Chart(namespace, GATEWAY, time_scale=1, replicas=2, pluginsConfigFile="payload-agnostic.yaml", flags={
        "ha-enable-leader-election": False, "secure-serving": False, "allow-experimental-plugins": True, "peers-service": PICKER,
        "peers-secret-file": "/peers/secret"},
        volumes=[{"name": "peers", "secret": {"secretName": "peers"}}], volumeMounts=[{"name": "peers", "mountPath": "/peers"}])
    first, second = chart.wait_for_pickers(running=2, ready=2)
    for name in (first, second):
        wait_until(lambda: "sharing load and sessions with 1 other" in namespace.kubectl("logs", name), chart.picture, 30)
    idle, *busy = [f"{address}:8000" for address in chart.workers()]
    fronts = [namespace.envoy_before([(chart.address(name), PORT)]) for name in (first, second)]
    before = {post_to(fronts[1].envoy.port).served() for _ in range(ASKED)}
    require(len(before) > 1, f"all requests go to {before}, though no endpoint has anything to do")
    with open_streams(fronts[0].envoy.port, completion(tokens=4000, stream=True), busy, STREAMS):
        time.sleep(1)  # --peers-interval and some more
        served = [post_to(fronts[1].envoy.port).served() for _ in range(ASKED)]
    chart.require_no_troubles()
    require(set(served) == {idle}, f"the other picker sends requests to {served}, though only {idle} is idle")
    return (f"args: {chart.arguments()}\nthe first picker has {STREAMS} streams on each of {', '.join(busy)}; the second sends "
            f"{len(served)} of {ASKED} requests to {idle}")


def standalone_with_its_envoy(namespace):
    """The other chart: no InferencePool, rights to read pods alone, and an Envoy with the chart's configuration in the pod."""
    _helm_and_charts(namespace)
    _import_envoy(namespace)
    chart = Chart(namespace, STANDALONE, time_scale=200, replicas=1, router={
        "inferencePool": {"create": False}, "proxy": {"image": ENVOY, "imagePullPolicy": "Never", "resources": SMALL}})
    chart.wait_for_pickers(running=1, ready=1)
    host, port = chart.service(8081)
    given = [post(port, completion(f"{number} to be or not to be"), host=host) for number in range(60)]
    require({answer.status for answer in given} == {200}, f"answers: {given[-1].status}: {given[-1].body[:300]}")
    served = {address: int(metric(address, "vllm:request_success_total", port=8000)) for address in chart.workers()}
    chart.require_no_troubles()
    require(min(served.values()) > 0, f"requests of each endpoint: {served}")
    return f"args: {chart.arguments()}\n{len(given)} requests, served by {served}"


def _import_envoy(namespace):
    """An image of the Envoy that the other cases run as a process."""
    if not namespace.world.envoy.exists():
        raise Skipped(f"there is no Envoy at {namespace.world.envoy}: make test-envoy installs it")
    program = next(namespace.world.envoy.parents[1].glob("lib/python3*/site-packages/envoy/_bin/envoy"), namespace.world.envoy)
    archive = namespace.folder() / "envoy.tar"
    make_image(archive, ENVOY, {"usr/local/bin/envoy": program, **libraries(program)}, ["/usr/local/bin/envoy"])
    namespace.world.node.import_image(archive)
