"""A real Envoy in front of pickers, and what clients ask it."""
import collections
import concurrent.futures
import http.client
import json

from machine import ROOT  # noqa: F401 (machine makes known what lies in tests/envoy)
from client import MODEL, completion, post
from envoy_config import Shape
from envoy_process import Envoy

SHAPE = Shape(second_chance=True)
CLIENTS = 4


def post_to(port, model=MODEL, headers=None, **body):
    return post(port, {**completion(**body), "model": model}, headers)


class Front:
    """`pickers`: (host, port) of each. `ready`: how many are when it is started (default: all)."""

    def __init__(self, binary, folder, pickers, ready=None, shape=SHAPE):
        folder.mkdir()
        self.envoy = Envoy(binary, pickers, folder, shape, ready)
        self.stop = self.envoy.stop

    def post(self, **arguments):
        return post_to(self.envoy.port, **arguments)

    def post_many(self, body, count):
        """How often each status was the answer of `count` equal requests, from a few clients that keep their connections."""
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            shares = [count // CLIENTS + (number < count % CLIENTS) for number in range(CLIENTS)]
            return sum(pool.map(lambda share: self._post_in_turn(body, share), shares), collections.Counter())

    def _post_in_turn(self, body, count):
        connection = http.client.HTTPConnection("127.0.0.1", self.envoy.port, timeout=30)
        statuses = collections.Counter()
        try:
            for _ in range(count):
                connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                statuses[answer.status] += 1
        finally:
            connection.close()
        return statuses
