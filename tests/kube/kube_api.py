"""The API server as Python sees it: JSON requests, watches, and kubectl."""
import http.client
import json
import ssl
import subprocess
import time
import urllib.parse

import binaries

TIMEOUT_SECONDS = 30
CORE = "/api/v1"
TABLE = {  # kind: (prefix, plural)
    "Namespace": (CORE, "namespaces"),
    "Node": (CORE, "nodes"),
    "Pod": (CORE, "pods"),
    "Service": (CORE, "services"),
    "Secret": (CORE, "secrets"),
    "ConfigMap": (CORE, "configmaps"),
    "ServiceAccount": (CORE, "serviceaccounts"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "Event": ("/apis/events.k8s.io/v1", "events"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "InferencePool": ("/apis/inference.networking.k8s.io/v1", "inferencepools"),
    "InferenceObjective": ("/apis/llm-d.ai/v1alpha2", "inferenceobjectives"),
    "InferenceModelRewrite": ("/apis/llm-d.ai/v1alpha2", "inferencemodelrewrites"),
    "APIService": ("/apis/apiregistration.k8s.io/v1", "apiservices"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
}


class Refused(Exception):
    """The API server's answer was no. `code` is its HTTP status."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


def api_version(kind):
    return TABLE[kind][0].removeprefix("/apis/").removeprefix("/api/")


def path_of(kind, name_space=None, name=None, part=None):
    prefix, plural = TABLE[kind]
    words = [prefix, *(["namespaces", name_space] if name_space else []), plural, name, part]
    return "/".join(word for word in words if word)


class KubeApi:
    def __init__(self, url, certificates, client="admin"):
        self.host = urllib.parse.urlsplit(url)
        self.context = ssl.create_default_context(cafile=str(certificates.certificate("ca")))
        self.context.load_cert_chain(str(certificates.certificate(client)), str(certificates.key(client)))

    def _connect(self, timeout):
        return http.client.HTTPSConnection(self.host.hostname, self.host.port, timeout=timeout, context=self.context)

    def text(self, path, method="GET", body=None, content_type="application/json"):
        connection = self._connect(TIMEOUT_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": content_type})
            answer = connection.getresponse()
            content = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(answer.status, content)
        return content

    def get(self, kind, name_space=None, name=None):
        return json.loads(self.text(path_of(kind, name_space, name)))

    def list(self, kind, name_space=None):
        return self.get(kind, name_space)["items"]

    def create(self, kind, name_space, name, labels=None, annotations=None, finalizers=(), **fields):
        """`fields`: what stands beside metadata (spec=..., data=...)."""
        metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}, "finalizers": list(finalizers)}
        body = {"apiVersion": api_version(kind), "kind": kind, "metadata": metadata, **fields}
        return json.loads(self.text(path_of(kind, name_space), "POST", body))

    def merge(self, kind, name_space, name, change, part=None):
        path = path_of(kind, name_space, name, part)
        return json.loads(self.text(path, "PATCH", change, "application/merge-patch+json"))

    def delete(self, kind, name_space, name, at_once=False):
        options = {"gracePeriodSeconds": 0} if at_once else {}
        self.text(path_of(kind, name_space, name), "DELETE", options)

    def watch(self, path, resource_version="0"):
        """(when it came, its type, the object) of each event, for ever."""
        query = urllib.parse.urlencode({"watch": 1, "resourceVersion": resource_version})
        connection = self._connect(None)
        try:
            connection.request("GET", f"{path}?{query}")
            answer = connection.getresponse()
            if answer.status != 200:
                raise Refused(answer.status, answer.read().decode())
            for line in answer:
                event = json.loads(line)
                yield time.time(), event["type"], event["object"]
        finally:
            connection.close()

    @staticmethod
    def kubectl(kubeconfig, *arguments, stdin=None, check=True):
        """Its standard output; with `check` what goes wrong is an exception."""
        command = [binaries.program("kubectl"), "--kubeconfig", kubeconfig, *arguments]
        text = stdin if stdin is None or isinstance(stdin, str) else json.dumps(stdin)
        done = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout
