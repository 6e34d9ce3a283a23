"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler as processes of this machine, on one address."""
import binaries
from certificates import Certificates
from kube_api import KubeApi, Refused
from machine import Child, free_port, wait_until

SERVICE_NET = "10.96.0.0/16"
API_SERVER_SERVICE = "10.96.0.1"


class ControlPlane:
    """Ready when the constructor returns. `address`: this machine's own, not a loopback one. `pod_net`: given out to
    nodes, a /24 for each; without it nodes come with their own. `service_accounts`: pods get one, as in real clusters."""

    def __init__(self, folder, address, stack, pod_net=None, service_accounts=False):
        self.folder, self.address, self.stack = folder, address, stack
        self.port, self.etcd_port = free_port(), free_port()
        self.url = f"https://{address}:{self.port}"
        self.certificates = Certificates(folder / "certificates", (address, "127.0.0.1", API_SERVER_SERVICE))
        self.kubeconfig = self.certificates.kubeconfig("admin", self.url)
        self.api = KubeApi(self.url, self.certificates)
        self.service_accounts = service_accounts
        self.api_server = None
        self.controllers = {}  # name of the program: (its process, its flags)
        self._start("etcd", self._etcd_flags())
        stack.callback(self.stop_api_server)  # before etcd is stopped, else its end takes a minute
        self.start_api_server()
        self._start_controller("kube-controller-manager", self._controller_manager_flags(pod_net))
        self._start_controller("kube-scheduler", self._leaderless("scheduler"))

    def _start(self, name, flags):
        child = Child([binaries.program(name), *flags], self.folder / f"{name}.log")
        self.stack.callback(child.stop)
        return child

    def _start_controller(self, name, flags):
        self.controllers[name] = self._start(name, flags), flags

    def start_api_server(self):
        """Again, too. A controller manager that finds no server as it starts gives up, and is started once more."""
        self.api_server = Child([binaries.program("kube-apiserver"), *self._api_server_flags()],
                                self.folder / "kube-apiserver.log")
        wait_until(self._ready, lambda: f"the API server is not ready: {self.api_server.tail()}")
        for name, (child, flags) in list(self.controllers.items()):
            if not child.running():
                self._start_controller(name, flags)

    def stop_api_server(self):
        self.api_server.stop()

    def kill_api_server(self):
        self.api_server.kill()

    def _ready(self):
        if not self.api_server.running():
            raise RuntimeError(f"the API server ended: {self.api_server.tail()}")
        try:
            self.api.text("/readyz")
            return True
        except (OSError, Refused):
            return False

    def kubectl(self, *arguments, stdin=None, check=True, kubeconfig=None):
        return self.api.kubectl(kubeconfig or self.kubeconfig, *arguments, stdin=stdin, check=check)

    def _etcd_flags(self):
        clients, peers = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        return ["--name", "test", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync", "--log-level", "warn",
                "--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
                "--initial-advertise-peer-urls", peers, "--initial-cluster", f"test={peers}"]

    def _api_server_flags(self):
        key, certificate, ca = self.certificates.key, self.certificates.certificate, self.certificates.certificate("ca")
        # Without service accounts a new namespace takes pods at once.
        admission = [] if self.service_accounts else ["--disable-admission-plugins", "ServiceAccount"]
        return ["--etcd-servers", f"http://127.0.0.1:{self.etcd_port}", "--bind-address", self.address,
                "--advertise-address", self.address, "--secure-port", self.port, *admission,
                "--service-cluster-ip-range", SERVICE_NET, "--authorization-mode", "Node,RBAC", "--profiling=false",
                "--allow-privileged=true", "--client-ca-file", ca,
                "--tls-cert-file", certificate("apiserver"), "--tls-private-key-file", key("apiserver"),
                "--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
                "--service-account-signing-key-file", key("tokens"),
                "--service-account-key-file", self.certificates.folder / "tokens.pub",
                "--kubelet-client-certificate", certificate("kubelet-client"),
                "--kubelet-client-key", key("kubelet-client"), "--kubelet-certificate-authority", ca,
                "--kubelet-preferred-address-types", "InternalIP",
                "--requestheader-client-ca-file", ca, "--requestheader-allowed-names", "front-proxy-client",
                "--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
                "--requestheader-extra-headers-prefix", "X-Remote-Extra-",
                "--proxy-client-cert-file", certificate("front-proxy"), "--proxy-client-key-file", key("front-proxy")]

    def _leaderless(self, client):
        kubeconfig = self.certificates.kubeconfig(client, self.url)
        return ["--kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig,
                "--authorization-kubeconfig", kubeconfig, "--leader-elect=false",
                "--bind-address", "127.0.0.1", "--secure-port", free_port()]

    def _controller_manager_flags(self, pod_net):
        nets = ["--allocate-node-cidrs=true", "--cluster-cidr", pod_net, "--service-cluster-ip-range", SERVICE_NET]
        return [*self._leaderless("controller-manager"), *(nets if pod_net else []), "--use-service-account-credentials",
                "--service-account-private-key-file", self.certificates.key("tokens"),
                "--root-ca-file", self.certificates.certificate("ca"),
                "--cluster-signing-cert-file", self.certificates.certificate("ca"),
                "--cluster-signing-key-file", self.certificates.key("ca")]
