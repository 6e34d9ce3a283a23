"""Kubernetes objects as text: those of a file, and those that make its Services lead to this machine."""
import json
import pathlib
import subprocess

import yaml

DIVIDER = "\n---\n"
STUB_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
STUB_KEY = "-----BEGIN PRIVATE KEY-----"


def certificate(folder):
    """A certificate and its key, as PEM."""
    files = [pathlib.Path(folder) / name for name in ("key.pem", "cert.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=kvasir-test", "-keyout", str(files[0]), "-out", str(files[1])],
                   check=True, capture_output=True)
    return files[1].read_text(), files[0].read_text()


def slice_of(service, port, addresses):
    """`port`: one of the Service's. `addresses`: (host, port), which must have one port."""
    meta = service["metadata"]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": f"{meta['name']}-{port['port']}", "namespace": meta.get("namespace", "default"),
                         "labels": {"kubernetes.io/service-name": meta["name"]}},
            "addressType": "IPv4",
            "ports": [{"name": port.get("name", ""), "port": addresses[0][1]}],
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}} for host, _ in addresses]}


def as_text(objects):
    return DIVIDER.join(json.dumps(one) for one in objects) + "\n"


def read(text):
    return [one for one in yaml.safe_load_all(text) if one]


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def name_of(one):
    return f"{one['metadata'].get('namespace', 'default')}/{one['metadata']['name']}"


def picker_service(pool, port):
    """A Service for the picker of `pool` (which is changed to name it), and where it is."""
    meta = pool["metadata"]
    name = meta["name"] + "-picker"
    namespace = meta.get("namespace", "default")
    if pool["apiVersion"].startswith("serving.kserve.io"):
        pool["spec"]["endpointPickerRef"] = {"name": name, "port": {"number": 9002}}
    else:
        pool["spec"]["endpointPickerRef"] = {"name": name, "port": {"number": 9002}, "failureMode": "FailClose"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
               "spec": {"ports": [{"port": 9002, "appProtocol": "kubernetes.io/h2c"}]}}
    return [service, slice_of(service, service["spec"]["ports"][0], [("127.0.0.1", port)])]
