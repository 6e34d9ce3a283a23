"""Where the programs of Kubernetes are that build_binaries.sh made, and which are missing."""
import os
import pathlib

VERSION = "1.34.2"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kwok")
NODE = ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns")
BUILD = "tests/kube/build_binaries.sh"


def folder():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("KVASIR_KUBE") or f"{cache}/kvasir-kube/{VERSION}")


def program(name):
    return folder() / "bin" / name


def missing(names):
    return [name for name in names if not os.access(program(name), os.X_OK)]
