"""Parts of the cluster that are processes of this machine: Services without selectors make them known to pods."""
import binaries
from machine import Child, free_port
from node_network import MACHINE

DNS_SERVICE = "10.96.0.10"
METRICS = "v1beta1.metrics.k8s.io"


def _announce(api, name, ports, **spec):
    """`ports`: (name, protocol, port of the service, port on this machine)."""
    api.create("Service", "kube-system", name, spec={**spec, "ports": [
        {"name": text, "protocol": protocol, "port": port} for text, protocol, port, _ in ports]})
    api.create("EndpointSlice", "kube-system", name, labels={"kubernetes.io/service-name": name}, addressType="IPv4",
               endpoints=[{"addresses": [MACHINE]}],
               ports=[{"name": text, "protocol": protocol, "port": port} for text, protocol, _, port in ports])


def start_dns(plane, folder, stack):
    port = free_port()
    configuration = folder / "Corefile"
    configuration.write_text(f""".:{port} {{
  bind {MACHINE}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {plane.kubeconfig}
    pods insecure
  }}
}}
""")
    child = Child([binaries.program("coredns"), "-conf", configuration], folder / "coredns.log")
    stack.callback(child.stop)
    _announce(plane.api, "kube-dns", [("dns", "UDP", 53, port), ("dns-tcp", "TCP", 53, port)], clusterIP=DNS_SERVICE)


def start_metrics_server(plane, folder, stack):
    """For `kubectl top`, which has values after half a minute."""
    port, kubeconfig = free_port(), plane.kubeconfig
    child = Child(
        [binaries.program("metrics-server"), "--kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig,
         "--authorization-kubeconfig", kubeconfig, "--bind-address", MACHINE, "--secure-port", port,
         "--cert-dir", folder / "metrics-server", "--kubelet-certificate-authority", plane.certificates.certificate("ca"),
         "--kubelet-preferred-address-types", "InternalIP", "--kubelet-use-node-status-port",
         "--metric-resolution", "15s", "--kubelet-request-timeout", "5s"], folder / "metrics-server.log")
    stack.callback(child.stop)
    _announce(plane.api, "metrics-server", [("https", "TCP", 443, port)])
    plane.api.create("APIService", None, METRICS, spec={
        "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "insecureSkipTLSVerify": True, "service": {"name": "metrics-server", "namespace": "kube-system"}})
