"""Requests go where the picker says, whole and untouched, in every mode in which Envoy can ask it."""
import concurrent.futures
import re

from client import MODEL, completion, get, post, words
from envoy_config import Shape
from listener import Listener
from world import require

ORIGINAL_DST = Shape()
OVERRIDE_HOST = Shape(policy="override_host")
BUFFERED = Shape(policy="override_host", request_body="BUFFERED", response_body="NONE", response_headers="SKIP")
BUFFERED_ORIGINAL = Shape(request_body="BUFFERED", response_body="NONE", response_headers="SKIP")
# The router chooses a host when the headers reach it. Envoy passes headers that it skips on at once, so another filter
# must hold them until the picker has seen the body.
SKIPPED = Shape(policy="override_host", request_headers="SKIP", request_body="BUFFERED", response_body="NONE",
                response_headers="SKIP", buffer_filter=True)
STREAMED = Shape(policy="override_host", request_body="STREAMED", response_body="STREAMED")
STREAMED_AHEAD = Shape(policy="override_host", request_body="STREAMED", response_body="STREAMED", body_ahead=True)
READS_BODIES = [ORIGINAL_DST, OVERRIDE_HOST, BUFFERED_ORIGINAL, BUFFERED, SKIPPED, STREAMED_AHEAD]
ENCRYPTED = Shape(tls=True)
SHAPES = [*READS_BODIES, STREAMED]

BY_ACTIVE_REQUESTS = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: active-request-scorer
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - {pluginRef: active-request-scorer, weight: 1}
  - {pluginRef: max-score-picker}
"""
NOBODY_FITS = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: label-selector-filter
  parameters: {matchLabels: {color: none-has-it}}
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - {pluginRef: label-selector-filter}
  - {pluginRef: max-score-picker}
"""


class Served:
    """How many requests each worker answers inside a `with`."""

    def __init__(self, workers):
        self.workers = workers

    def __enter__(self):
        self.before = {worker.name: worker.served() for worker in self.workers}
        return self

    def __exit__(self, *_):
        pass

    def counts(self):
        after = {worker.name: worker.served() for worker in self.workers}
        return {name: after[name] - self.before[name] for name in after if after[name] != self.before[name]}


def require_ok(answer):
    require(answer.status == 200, f"status {answer.status}: {answer.body[:300]!r}")
    return answer


def completion_tokens(answer):
    found = re.search(rb'"completion_tokens":(\d+)', answer.body)
    return int(found.group(1)) if found else None


def goes_where_it_was_sent(world, shape):
    """Each request is answered by the worker that the picker named: Envoy and the worker's own counter say so."""
    with world.front(shape=shape) as front:
        for number in range(8):
            with Served(world.workers) as served:
                answer = require_ok(post(front.port, completion(f"{number} " + words(300))))
            require(answer.picked() == answer.served(), f"picked {answer.picked()}, served by {answer.served()}")
            require(served.counts() == {answer.picked(): 1}, f"picked {answer.picked()}, counted {served.counts()}")
            require(completion_tokens(answer) == 4, answer.body[:200])
            if shape.response_headers == "SEND":
                require(answer.headers.get("x-selected-pod") == answer.picked(), str(answer.headers))


def same_prompt_stays(world):
    """A long prompt comes back to the worker that has its prefix cached, and the picker says that it is a hit."""
    with world.front() as front:
        prompt = words(2000)
        first = require_ok(post(front.port, completion(prompt)))
        for _ in range(5):
            again = require_ok(post(front.port, completion(prompt + " and more")))
            require(again.served() == first.served(), f"{first.served()}, then {again.served()}")
            require(again.headers.get("x-cache-hit") == "true", str(again.headers))


def stream_is_intact(world, shape):
    """A streamed answer has the bytes of a direct one and arrives as it is made, not at its end."""
    body = completion("tell me", tokens=1600, stream=True)
    headers = {"X-Request-Id": "stream-is-intact"}
    worker = world.workers[0]
    created = re.compile(rb'"created":\d+')
    direct = require_ok(post(worker.port, body, headers, host=worker.host))
    with world.front(shape=shape) as front:
        answer = require_ok(post(front.port, body, headers))
        require(created.sub(b"", answer.body) == created.sub(b"", direct.body), "the bytes differ from a direct answer")
        require(answer.body.endswith(b"data: [DONE]\n\n"), answer.body[-100:])
        first, last = answer.pieces[0][0], answer.pieces[-1][0]
        require(len(answer.pieces) > 20, f"it came in {len(answer.pieces)} pieces")
        require(first < last / 4, f"the first piece came after {first:.3f} s of {last:.3f}")


def large_prompts(world, shape):
    """Prompts of 100k tokens pass, whole and streamed, one after the other and four at once."""
    with world.front(shape=shape) as front:
        for number in range(2):
            answer = require_ok(post(front.port, completion(f"{number} " + words(100_000), stream=number == 1)))
            require(answer.picked() == answer.served(), f"picked {answer.picked()}, served by {answer.served()}")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            bodies = [completion(f"{number} " + words(100_000)) for number in range(4)]
            for answer in pool.map(lambda body: post(front.port, body), bodies):
                require_ok(answer)


def chunked_upload(world, shape):
    """A body without a length, in chunks, arrives whole."""
    with world.front(shape=shape) as front:
        for count in (1, 300, 30_000):
            prompt = words(count)
            worker = world.workers[0]
            wanted = re.search(rb'"prompt_tokens":\d+', post(worker.port, completion(prompt), host=worker.host).body)
            answer = require_ok(post(front.port, completion(prompt), encode="chunked"))
            require(wanted.group(0) in answer.body, f"not {wanted.group(0)}: {answer.body[-300:]}")


def compressed_upload(world):
    """A gzip'd body is read by the picker: the same prompt goes to the worker that has its prefix."""
    with world.front() as front:
        prompt = words(2000)
        first = require_ok(post(front.port, completion(prompt)))
        for _ in range(5):
            answer = post(front.port, completion(prompt), encode="gzip")
            require(b"inference error" not in answer.body, f"the picker refused it: {answer.body[:200]!r}")
            require(answer.served() == first.served(), f"plain to {first.served()}, gzip'd to {answer.served()}")


def model_is_rewritten(world, shape):
    """A model of another name is served under its own, and the answer has the client's name again, cut as it may be."""
    with world.front(shape=shape) as front:
        for stream in (False, True):
            body = {**completion(words(300), stream=stream), "model": "an-alias", "seed": 9007199254740993}
            answer = require_ok(post(front.port, body, {"x-llm-d-model-name-rewrite": MODEL}))
            require(b'"an-alias"' in answer.body or shape.response_body == "NONE", f"not renamed: {answer.body[:300]!r}")
            require(MODEL.encode() not in answer.body or shape.response_body == "NONE", f"left: {answer.body[:300]!r}")
            require(not stream or answer.body.endswith(b"data: [DONE]\n\n"), f"cut: {answer.body[-100:]!r}")


def client_does_not_steer(world, shape):
    """A client that names an endpoint itself is not obeyed, and its prefill header does not reach the worker."""
    with world.front(shape=shape) as front:
        for number in range(8):
            wish = world.names[number]
            headers = {"x-gateway-destination-endpoint": "127.0.0.1:1", "x-prefiller-host-port": wish,
                       "x-gateway-destination-endpoint-subset": "127.0.0.1:1", "x-data-parallel-host-port": wish}
            answer = require_ok(post(front.port, completion(f"{number}"), headers))
            require(answer.picked() == answer.served(), f"picked {answer.picked()}, served by {answer.served()}")


def control_headers_are_removed(world, shape):
    """What a client says about prefill workers is gone from the request that leaves Envoy."""
    with Listener() as listener, world.front(shape=shape, endpoints=[listener.name]) as front:
        removed = ["x-prefiller-host-port", "x-encoder-hosts-ports", "x-data-parallel-host-port",
                   "x-gateway-destination-endpoint-subset", "x-gateway-destination-endpoint-served"]
        require_ok(post(front.port, completion(), {name: "10.0.0.1:80" for name in removed} | {"x-mine": "stays"}))
        seen = listener.completions[-1]
        require(seen.get("x-mine") == "stays", f"x-mine is gone: {seen}")
        if shape.request_headers == "SKIP":
            return  # the picker cannot know of them; it sets nothing that they could mean
        left = [name for name in removed if name in seen]
        require(not left, f"these reached the worker: {left}")


def subset_is_kept(world):
    """Of the gateway's subset one is picked, by address; an address that is no endpoint's gives 503 with a reason."""
    with world.front() as front:
        subset = world.names[2:4]
        for number in range(6):
            answer = require_ok(post(front.port, completion(f"{number}"), {"x-test-subset": ",".join(subset)}))
            require(answer.served() in subset, f"served by {answer.served()}, not of {subset}")
        require_ok(get(front.port, "/v1/models"))
        answer = post(front.port, completion(), {"x-test-subset": "10.9.9.9:8000"})
        require((answer.status, answer.reason()) == (503, "rejected-no-endpoints"), f"{answer.status} {answer.reason()}")


def models_are_listed(world, shape):
    """GET /v1/models, a request without a body, is answered by a worker."""
    with world.front(shape=shape) as front:
        answer = require_ok(get(front.port, "/v1/models"))
        require(b'"object":"list"' in answer.body, answer.body[:200])


def burst_spreads(world, shape):
    """Eight requests at the same time reach eight workers."""
    with world.front(shape=shape, config=BY_ACTIVE_REQUESTS) as front:
        for _ in range(3):
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda n: post(front.port, completion(f"{n}", tokens=1600)), range(8)))
            spread = {require_ok(answer).served() for answer in answers}
            require(len(spread) == 8, f"only {len(spread)} workers served the burst")


def many_at_once(world, shape):
    """400 requests over 16 connections at once: none fails, every one is where it was sent."""
    with world.front(shape=shape) as front, concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda n: post(front.port, completion(f"{n} " + words(200))), range(400))
        for answer in answers:
            require(require_ok(answer).picked() == answer.served(), f"{answer.picked()} {answer.served()}")


def bad_requests(world, shape):
    """What is no request is refused by the picker with 400 and its reason in words, and Envoy passes that on."""
    cases = {b"{": b"error unmarshaling request bodyMap", b'{"prompt":"x"}': b"model not found in request body"}
    with world.front(shape=shape) as front:
        for body, text in cases.items():
            answer = post(front.port, body)
            require(answer.status == 400, f"{body}: status {answer.status}")
            require(answer.body.startswith(b"inference error: BadRequest - " + text), answer.body[:200])
        require_ok(post(front.port, completion()))


def large_bodies_are_refused(world, shape):
    """A body beyond --max-body-mib gives 413 with its reason in words; one below it passes."""
    with world.front("--max-body-mib", 1, shape=shape) as front:
        require_ok(post(front.port, completion(user="u" * 1_000_000)))
        answer = post(front.port, completion(user="u" * 1_100_000))
        require(answer.status == 413 and b"too large" in answer.body, f"{answer.status}: {answer.body[:200]!r}")


def empty_bodies_pass(world, shape):
    """A POST without a body is answered by a worker, in the worker's words."""
    with world.front(shape=shape) as front:
        answer = post(front.port, b"")
        require(answer.status == 400 and b"inference error" not in answer.body, f"{answer.status}: {answer.body[:200]!r}")
        require(answer.served() in world.names, f"served by {answer.served()}")


def every_worker_is_down(world):
    """Nobody there: 503 with its reason; without a body 500, as upstream says it."""
    with world.front(endpoints=["127.0.1.200:9"], healthy=0) as front:
        answer = post(front.port, completion())
        require((answer.status, answer.reason()) == (503, "rejected-no-endpoints"), f"{answer.status} {answer.reason()}")
        require(answer.body.startswith(b"inference error: ServiceUnavailable - failed to find endpoint candidates"),
                answer.body[:200])
        require(get(front.port, "/v1/models").status == 500, "GET /v1/models did not give 500")


def filters_leave_nobody(world):
    """A filter that removes every endpoint: 429 with its reason."""
    with world.front(config=NOBODY_FITS) as front:
        answer = post(front.port, completion())
        require((answer.status, answer.reason()) == (429, "rejected-saturated"), f"{answer.status} {answer.reason()}")
        require(answer.body == b"inference error: ResourceExhausted - no endpoints available for the given request",
                answer.body[:200])
