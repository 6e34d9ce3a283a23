"""`kvasir epp` and `kvasir gateway` with a cluster as the source of their endpoints, and what they say of themselves."""
import datetime
import itertools
import re
import urllib.request

from machine import Child, free_port, wait_until

LEASE_SECONDS, RETRY_SECONDS = 15, 2
TRY_SECONDS = 2.2 * RETRY_SECONDS  # the longest between two looks at a lease, jitter included: one sees it, one takes it
_numbers = itertools.count(1)


def value_of(page, name, labels="", combined=sum):
    """Of /metrics: the sum (or the like) of a name's series whose labels contain that text; None: there is no such series."""
    series = rf"^{re.escape(name)}(?:\{{[^}}]*{re.escape(labels)}[^}}]*\}})? (\S+)$"
    values = re.findall(series, page, re.M)
    return combined(map(float, values)) if values else None


class Program(Child):
    """`page_port`: where /metrics and /readyz are. `ready_series`: how many healthy endpoints there are."""

    def __init__(self, world, command, name_space, kubeconfig, pool, name, flags, host):
        self.name, self.host = f"{name}-{next(_numbers)}", host
        selection = ["--pool-name", pool, "--pool-namespace", name_space] if pool else []
        super().__init__([world.kvasir, *command, "--host", host, "--kubeconfig", kubeconfig, *selection, *flags],
                         world.folder / f"{self.name}.log", {"POD_NAME": self.name, "NAMESPACE": name_space})

    def page(self, path="/metrics"):
        with urllib.request.urlopen(f"http://{self.host}:{self.page_port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name, labels="", combined=sum):
        return value_of(self.page(), name, labels, combined)

    def wait_for_page(self):
        def there():
            try:
                return self.page()
            except OSError:
                return self._still_runs() and ""
        wait_until(there, lambda: f"{self.name} has no metrics: {self.tail()}")

    def is_ready(self):
        """What its readiness probe says; not ready while it does not listen."""
        try:
            return bool(self.page("/readyz"))
        except OSError:
            return False

    def objects(self, kind):
        """How many of a kind it knows."""
        return int(self.metric("kvasir_kube_objects", f'kind="{kind}"') or 0)

    def age(self, kind):
        """Seconds since the API server last told it that what it knows of a kind is up to date."""
        return self.metric("kvasir_kube_last_heard_age_seconds", f'kind="{kind}"', max)

    @staticmethod
    def time_of(line):
        """Seconds since 1970 at the head of a line of its log."""
        return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()

    def ready_endpoints(self):
        try:
            return int(self.metric(self.ready_series) or 0)
        except OSError:
            return -1  # it does not listen yet

    def wait_for_endpoints(self, count, seconds=15):
        wait_until(lambda: self._still_runs() and self.ready_endpoints() == count,
                   lambda: f"{self.ready_endpoints()} endpoints instead of {count}: {self.tail()}", seconds, 0.005)

    def _still_runs(self):
        if not self.running():
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
        return True


class Picker(Program):
    ready_series = "llm_d_epp_ready_endpoints"

    def __init__(self, world, *arguments, port=None):
        self.port, self.health_port, self.page_port = port or free_port(), free_port(), free_port()
        ports = ["--grpc-port", self.port, "--grpc-health-port", self.health_port, "--metrics-port", self.page_port]
        super().__init__(world, ["epp", *ports, "--secure-serving=false", "--threads", 1, "--answer-headers"], *arguments)


class Gateway(Program):
    ready_series = "kvasir_gateway_upstream_healthy"

    def __init__(self, world, *arguments):
        self.port = self.page_port = free_port()
        super().__init__(world, ["gateway", "--port", self.port, "--threads", 1], *arguments)
