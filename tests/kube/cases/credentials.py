"""Who one is at the API server, as a kubeconfig says it: read by `kvasir kube get`, which connects as pickers do."""
import json
import os
import subprocess

from certificates import kubeconfig_text
from checks import require
from machine import Child, wait_until

EXEC_VERSION = "client.authentication.k8s.io/v1"
READ = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]


def get(namespace, kubeconfig, *arguments):
    """Exit code, standard output, standard error."""
    done = subprocess.run([namespace.world.kvasir, "kube", "get", "--kubeconfig", kubeconfig, "-n", namespace.name,
                           *arguments], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def kubeconfig_of(namespace, name, user):
    """A kubeconfig for that user, in a folder of its own."""
    folder = namespace.world.folder / f"{namespace.name}-{name}"
    folder.mkdir()
    ca = str(namespace.plane.certificates.certificate("ca"))
    (folder / "config").write_text(kubeconfig_text(namespace.plane.url, {"certificate-authority": ca}, user))
    return folder / "config"


def requires_map(namespace, kubeconfig):
    code, lines, problem = get(namespace, kubeconfig, "configmaps")
    require(code == 0 and f"{namespace.name}/seen  data=key" in lines, f"exit code {code}: {lines}{problem}")


def certificate_token_and_program(namespace):
    """A client certificate, a token in a file, a program that says a token and one that says a certificate."""
    namespace.create("ConfigMap", "seen", data={"key": "value"})
    requires_map(namespace, namespace.plane.kubeconfig)
    namespace.identity("reader", READ)
    token = namespace.kubectl("create", "token", "reader").strip()
    by_file = kubeconfig_of(namespace, "file", {"tokenFile": "token"})
    (by_file.parent / "token").write_text(token)
    requires_map(namespace, by_file)
    certificates = namespace.plane.certificates
    for name, status in (("program", {"token": token}),
                         ("certificate", {"clientCertificateData": certificates.certificate("admin").read_text(),
                                          "clientKeyData": certificates.key("admin").read_text()})):
        user = {"exec": {"apiVersion": EXEC_VERSION, "command": "./plugin", "interactiveMode": "Never",
                         "provideClusterInfo": True}}
        by_program = kubeconfig_of(namespace, name, user)
        answer = by_program.parent / "answer"
        answer.write_text(json.dumps({"kind": "ExecCredential", "apiVersion": EXEC_VERSION, "status": status}))
        plugin = by_program.parent / "plugin"
        plugin.write_text(f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" > {by_program.parent}/info\ncat {answer}\n')
        plugin.chmod(0o755)
        requires_map(namespace, by_program)
        told = json.loads((by_program.parent / "info").read_text())["spec"]["cluster"]
        require(told["server"] == namespace.plane.url and told["certificate-authority-data"], f"it is told {told}")


def inside_a_pod(namespace):
    """Without a kubeconfig: the service account's files and two variables, where a pod has them."""
    namespace.create("ConfigMap", "seen", data={"key": "value"})
    namespace.identity("pod", READ)
    folder = namespace.world.folder / f"{namespace.name}-account"
    folder.mkdir()
    (folder / "token").write_text(namespace.kubectl("create", "token", "pod").strip())
    (folder / "namespace").write_text(namespace.name)
    (folder / "ca.crt").write_text(namespace.plane.certificates.certificate("ca").read_text())
    # /run is hidden from this one process, which has the files in its place.
    place = "/run/secrets/kubernetes.io/serviceaccount"
    script = f"mount -t tmpfs none /run && mkdir -p {place} && cp {folder}/* {place} && exec {namespace.world.kvasir} kube get configmaps"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=60,
                          env={"PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": namespace.plane.address,
                               "KUBERNETES_SERVICE_PORT": str(namespace.plane.port)})
    require(f"{namespace.name}/seen  data=key" in done.stdout and "in-cluster" in done.stderr, done.stdout + done.stderr)


def refusals(namespace):
    """No right, a wrong token, a CA of somebody else: one clear line and exit code 1."""
    kubeconfig = namespace.identity("nobody", READ)
    code, _, problem = get(namespace, kubeconfig, "secrets")
    require(code == 1 and "secrets is forbidden" in problem, f"exit code {code}: {problem}")
    code, _, problem = get(namespace, kubeconfig_of(namespace, "wrong", {"token": "hush"}), "configmaps")
    require(code == 1 and "Unauthorized" in problem and "hush" not in problem, f"exit code {code}: {problem}")
    other = namespace.world.folder / f"{namespace.name}-other-ca"
    text = namespace.plane.kubeconfig.read_text()
    other.write_text(text.replace(str(namespace.plane.certificates.certificate("ca")),
                                  str(namespace.plane.certificates.certificate("admin"))))
    code, _, problem = get(namespace, other, "configmaps")
    require(code == 1 and "certificate is not accepted" in problem, f"exit code {code}: {problem}")
    return problem.strip().splitlines()[-1]


def watching(namespace):
    """--watch shows what comes, changes and goes."""
    namespace.create("ConfigMap", "first", labels={"app": "x"}, data={"a": "1"})
    child = Child([namespace.world.kvasir, "kube", "get", "configmaps", "-w", "-l", "app=x", "-n", namespace.name,
                   "--kubeconfig", namespace.plane.kubeconfig], namespace.world.folder / f"{namespace.name}-get.log")
    namespace.stack.callback(child.stop)
    child.wait_for_line("what changes follows")
    namespace.api.merge("ConfigMap", namespace.name, "first", {"data": {"b": "2"}})
    child.wait_for_line(f"~ {namespace.name}/first  data=a,b")
    namespace.create("ConfigMap", "second", labels={"app": "x"})
    child.wait_for_line(f"+ {namespace.name}/second")
    namespace.delete("ConfigMap", "first")
    child.wait_for_line(f"- {namespace.name}/first")
    child.stop()
    wait_until(lambda: not child.running(), "it does not end")
