"""The node itself: what the other cases stand on."""
import socket
import struct

from checks import require
from image import PAUSE
from machine import wait_until
from node import DNS_SERVICE


def a_pod_runs(namespace):
    """A pod of a real image becomes Ready, with an address that this machine reaches, and is gone when deleted."""
    container = {"name": "pause", "image": PAUSE, "imagePullPolicy": "Never"}
    namespace.wait_for_service_account()
    namespace.create("Pod", "pause", spec={"containers": [container], "terminationGracePeriodSeconds": 1})
    namespace.kubectl("wait", "--for=condition=Ready", "pod/pause", "--timeout=60s")
    address = namespace.api.get("Pod", namespace.name, "pause")["status"]["podIP"]
    require(address.startswith("10.244.0."), f"its address is {address}")
    namespace.kubectl("delete", "pod", "pause", "--timeout=60s")


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
