"""The node itself: what the other cases stand on."""
import socket
import struct

from checks import require
from host_services import DNS_SERVICE
from image import PAUSE
from machine import wait_until

from client import completion, post


def a_pod_runs(namespace):
    """A pod of a real image becomes Ready, with an address that this machine reaches, and is gone when deleted."""
    container = {"name": "pause", "image": PAUSE, "imagePullPolicy": "Never"}
    namespace.wait_for_service_account()
    namespace.create("Pod", "pause", spec={"containers": [container], "terminationGracePeriodSeconds": 1})
    namespace.kubectl("wait", "--for=condition=Ready", "pod/pause", "--timeout=60s")
    address = namespace.api.get("Pod", namespace.name, "pause")["status"]["podIP"]
    require(address.startswith("10.244.0."), f"its address is {address}")
    namespace.kubectl("delete", "pod", "pause", "--timeout=60s")


def our_programs_serve(namespace):
    """A worker behind a Service and a gateway that finds it by its name: kubectl's logs and exec, and an answer."""
    version = namespace.kvasir("--version").split()[-1]
    namespace.wait_for_service_account()
    namespace.create("Service", "vllm", spec={"clusterIP": "None", "selector": {"app": "worker"}, "ports": [{"port": 8000}]})
    for name, command in (("worker", ["worker", "--port", "8000", "--time-scale", "200"]),
                          ("gateway", ["gateway", "--host", "0.0.0.0", "--anonymous", "--port", "8000", "--dns", "vllm:8000"])):
        container = {"name": name, "image": f"localhost/kvasir:{version}", "imagePullPolicy": "Never", "args": command,
                     "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1}}
        namespace.create("Pod", name, labels={"app": name}, spec={"containers": [container], "terminationGracePeriodSeconds": 2})
    namespace.create("Service", "front", spec={"selector": {"app": "gateway"}, "ports": [{"port": 80, "targetPort": 8000}]})
    namespace.kubectl("wait", "--for=condition=Ready", "pod/worker", "pod/gateway", "--timeout=60s")
    service = namespace.api.get("Service", namespace.name, "front")["spec"]["clusterIP"]
    answer = wait_until(lambda: _served(service), "the Service does not answer", 20)
    require(answer.status == 200, f"{answer.status}: {answer.body[:300]}")
    require("serving on" in namespace.kubectl("logs", "gateway"), "its log does not say that it serves")
    require(version in namespace.kubectl("exec", "worker", "--", "kvasir", "--version"), "kubectl exec")


def _served(host):
    try:
        return post(80, completion(), host=host)
    except OSError:
        return None


def names_are_found(namespace):
    """Cluster DNS, through its Service, knows a Service by its name."""
    namespace.create("Service", "some", spec={"ports": [{"port": 80}]})
    wanted = namespace.api.get("Service", namespace.name, "some")["spec"]["clusterIP"]
    found = wait_until(lambda: _look_up(f"some.{namespace.name}.svc.cluster.local"), "no answer from the cluster's DNS", 20)
    require(found == wanted, f"{found} instead of {wanted}")


def _look_up(name):
    """The address of a name, asked of the cluster's DNS; empty: none."""
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(2)
        asker.sendto(struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + question, (DNS_SERVICE, 53))
        try:
            answer = asker.recv(512)
        except OSError:
            return ""
    answers = struct.unpack(">H", answer[6:8])[0]
    return socket.inet_ntoa(answer[-4:]) if answers else ""
