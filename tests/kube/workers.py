"""Simulated workers as the containers of KWOK's pods."""
import threading

from kube_api import path_of
from machine import Child

PORT = 8000
LABEL = "kvasir.dev/process"  # worker: one is started for each such pod
FLAGS = "kvasir.dev/worker-flags"
TIME_SCALE = 200


def worker_pod(labels=None, address=None, flags="", port=PORT):
    """labels, annotations and spec of a pod whose process is `kvasir worker`."""
    annotations = {FLAGS: flags} if flags else {}
    if address:
        annotations["kvasir.dev/address"] = address
    container = {"name": "worker", "image": "kvasir", "ports": [{"containerPort": port, "name": "http"}]}
    return {"labels": {LABEL: "worker", **(labels or {})}, "annotations": annotations,
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}


class Workers:
    """Starts a worker when such a pod gets its address, and stops it when the pod is gone."""

    def __init__(self, api, kvasir, folder):
        self.api, self.kvasir, self.folder = api, kvasir, folder
        self.children = {}  # by the pod's uid
        self.lock = threading.Lock()
        self.stopped = False
        # Lives as long as the program: the kernel ends the workers when this thread ends.
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        while not self.stopped:
            try:
                for _, kind, pod in self.api.watch(path_of("Pod")):
                    self._hear(kind, pod)
            except OSError:
                pass  # the API server is away
            threading.Event().wait(0.05)

    def _hear(self, kind, pod):
        metadata = pod["metadata"]
        address = pod.get("status", {}).get("podIP")
        if metadata.get("labels", {}).get(LABEL) != "worker":
            return
        with self.lock:
            child = self.children.get(metadata["uid"])
            if kind == "DELETED":
                self.children.pop(metadata["uid"], None)
                if child:
                    child.kill()
            elif address and not child and not self.stopped:
                self.children[metadata["uid"]] = self._start(pod, address)

    def _start(self, pod, address):
        metadata = pod["metadata"]
        port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
        flags = metadata.get("annotations", {}).get(FLAGS, "")
        return self.start(address, port, flags, f"{metadata['namespace']}-{metadata['name']}")

    def start(self, address, port, flags, name):
        return Child([self.kvasir, "worker", "--host", address, "--port", port, "--time-scale", TIME_SCALE, *flags.split()],
                     self.folder / f"worker-{name}.log")

    def stop(self):
        with self.lock:
            self.stopped = True
            for child in self.children.values():
                child.kill()
