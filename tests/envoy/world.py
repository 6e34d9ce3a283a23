"""What every scenario starts from: eight workers, the programs, and how to put a picker and an Envoy before them."""
import dataclasses
import pathlib
import tempfile
from contextlib import ExitStack, contextmanager

from envoy_config import Shape
from envoy_process import Envoy
from fleet import Picker, Worker

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKERS = 8


class CheckFailed(Exception):
    """Something went otherwise than the scenario says."""


def require(condition, what):
    if not condition:
        raise CheckFailed(what)


@dataclasses.dataclass
class Front:
    """The pickers, mostly one, and the Envoy that asks them."""
    pickers: list
    envoy: Envoy

    @property
    def picker(self):
        return self.pickers[0]

    @property
    def port(self):
        return self.envoy.port


class World:
    def __init__(self, kvasir, envoy, python, folder, stack):
        self.kvasir, self.envoy, self.python, self.folder = kvasir, envoy, python, folder
        self.workers = [Worker(kvasir, folder, number) for number in range(1, WORKERS + 1)]
        for worker in self.workers:
            stack.callback(worker.stop)
            worker.wait()

    @property
    def names(self):
        return [worker.name for worker in self.workers]

    def address_of(self, name):
        host, _, port = name.rpartition(":")
        return host, int(port)

    @contextmanager
    def extra_workers(self, count, *flags):
        """Workers of a scenario's own, which it may kill."""
        with ExitStack() as stack:
            extra = [Worker(self.kvasir, self.folder, 100 + number, *flags) for number in range(count)]
            for worker in extra:
                stack.callback(worker.stop)
                worker.wait()
            yield extra

    @contextmanager
    def front(self, *picker_flags, shape=Shape(), endpoints=None, healthy=None, config=None, pickers=1):
        """`endpoints`: HOST:PORT[;label=value...] (default: the eight workers). `config`: text of a configuration."""
        endpoints = endpoints or self.names
        known = tuple(self.address_of(entry.partition(";")[0]) for entry in endpoints)
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder))
            flags = list(picker_flags)
            if config:
                path = pathlib.Path(folder) / "epp.yaml"
                path.write_text(config)
                flags += ["--config-file", path]
            started = []
            for _ in range(pickers):
                started.append(Picker(self.kvasir, folder, endpoints, *flags, healthy=healthy, tls=shape.tls))
                stack.callback(started[-1].stop)
            envoy = Envoy(self.envoy, [picker.port for picker in started], folder, dataclasses.replace(shape, endpoints=known))
            stack.callback(envoy.stop)
            yield Front(started, envoy)
