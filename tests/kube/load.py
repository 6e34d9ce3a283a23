"""Clients that keep asking, one answer after the other, and what became of each of their requests."""
import collections
import dataclasses
import http.client
import json
import threading
import time

TIMEOUT_SECONDS = 60
DONE = b"data: [DONE]"


@dataclasses.dataclass
class Outcome:
    began: float  # seconds since 1970
    seconds: float
    status: int = 0  # 0: there was no answer
    whole: bool = False  # a stream came to its end
    served_by: str = ""
    problem: str = ""

    def good(self):
        return self.status == 200 and self.whole


class Load:
    """`address`: (host, port). Each client keeps its connection as long as the server does, as SDKs do."""

    def __init__(self, address, model, clients=8, tokens=16, stream=True, pause=0.0, key=None):
        self.address, self.pause, self.stream = address, pause, stream
        self.fields = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.body = json.dumps({"model": model, "prompt": "to be or not to be", "max_tokens": tokens, "stream": stream})
        self.outcomes = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        connection = None
        while not self.stopping.is_set():
            outcome = Outcome(time.time(), 0)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT_SECONDS)
                self._ask(connection, outcome)
            except (OSError, http.client.HTTPException) as problem:
                outcome.problem = repr(problem)
            if not outcome.good() and connection is not None:
                connection.close()
                connection = None
            outcome.seconds = time.time() - outcome.began
            self.outcomes.append(outcome)
            self.stopping.wait(self.pause)

    def _ask(self, connection, outcome):
        connection.request("POST", "/v1/completions", self.body, self.fields)
        answer = connection.getresponse()
        outcome.status = answer.status
        outcome.served_by = answer.headers.get("x-selected-pod", "")
        content = answer.read()
        outcome.whole = DONE in content if self.stream else bool(content)
        if answer.status != 200:
            outcome.problem = content[:300].decode(errors="replace")

    def stop(self):
        """All outcomes."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return self.outcomes

    def first_served_by(self, name, since):
        """When a request that began after `since` was served by an endpoint with that in its name; None: not yet."""
        return min((outcome.began for outcome in list(self.outcomes)
                    if outcome.began >= since and name in outcome.served_by), default=None)


def summary(outcomes):
    bad = [outcome for outcome in outcomes if not outcome.good()]
    problems = collections.Counter(f"{outcome.status} {outcome.problem}"[:200] for outcome in bad)
    return f"{len(outcomes)} requests, {len(bad)} failed" + "".join(f"\n{count} x {text}" for text, count in problems.items())
