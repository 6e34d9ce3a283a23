"""One authority, the certificates of everybody in the cluster, and their kubeconfigs, made by openssl."""
import json
import pathlib
import subprocess

CLIENTS = {  # name of the files: the subject, which is who it is to the API server
    "admin": "/O=system:masters/CN=admin",
    "kubelet-client": "/O=system:masters/CN=kube-apiserver-kubelet-client",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
    "front-proxy": "/CN=front-proxy-client",
}
API_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                    "kubernetes.default.svc.cluster.local")


class Certificates:
    """`addresses`: of the API server."""

    def __init__(self, folder, addresses):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key("ca")
        self._openssl("req", "-x509", "-new", "-key", self.key("ca"), "-subj", "/CN=test-cluster", "-days", "30",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", self.certificate("ca"))
        self.add("apiserver", "/CN=kube-apiserver", names=API_SERVER_NAMES, addresses=addresses)
        for name, subject in CLIENTS.items():
            self.add(name, subject)
        # With what the API server signs the tokens of service accounts.
        self._openssl("genrsa", "-out", self.key("tokens"), "2048")
        self._openssl("rsa", "-in", self.key("tokens"), "-pubout", "-out", self.folder / "tokens.pub")

    def key(self, name):
        return self.folder / f"{name}.key"

    def certificate(self, name):
        return self.folder / f"{name}.crt"

    def add(self, name, subject, names=(), addresses=()):
        self._key(name)
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        self._openssl("req", "-new", "-key", self.key(name), "-subj", subject, "-out", request)
        lines = ["keyUsage=digitalSignature,keyEncipherment", "extendedKeyUsage=serverAuth,clientAuth",
                 "basicConstraints=CA:FALSE", "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"]
        if names or addresses:
            known_as = [f"DNS:{text}" for text in names] + [f"IP:{text}" for text in addresses]
            lines.append("subjectAltName=" + ",".join(known_as))
        extensions.write_text("\n".join(lines) + "\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate("ca"), "-CAkey", self.key("ca"),
                      "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", self.certificate(name))

    def kubeconfig(self, name, server):
        """The file for the client of that certificate."""
        path = self.folder / f"{name}.kubeconfig"
        user = {"client-certificate": str(self.certificate(name)), "client-key": str(self.key(name))}
        path.write_text(kubeconfig_text(server, {"certificate-authority": str(self.certificate("ca"))}, user))
        return path

    def token_kubeconfig(self, name, server, token, name_space="default"):
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(kubeconfig_text(server, {"certificate-authority": str(self.certificate("ca"))}, {"token": token},
                                        name_space))
        return path

    def _key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key(name))

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr[-500:]}")


def kubeconfig_text(server, cluster, user, name_space="default"):
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": name_space}}]}, indent=1)
