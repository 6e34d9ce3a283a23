"""Workers and pickers that die, clients that go away: what clients see of it."""
import http.client
import json
import time

from client import HalfSent, completion, post, words
from envoy_config import Shape
from routing_scenarios import BUFFERED, BY_ACTIVE_REQUESTS, OVERRIDE_HOST, require_ok
from world import require

AT_ONCE_SECONDS = 2
# Only the first health checks come while a scenario runs: the picker goes on naming a worker that has died.
BELIEVES = ("--health-interval", 600)
IN_TURN = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - {pluginRef: max-score-picker}
"""
DUPLEX_OPEN = Shape(policy="override_host", fail_open=True)
DUPLEX_CLOSED = OVERRIDE_HOST
BUFFERED_OPEN = Shape(policy="override_host", request_body="BUFFERED", response_body="NONE", response_headers="SKIP",
                      fail_open=True)
BUFFERED_CLOSED = BUFFERED
SECOND_CHANCE = Shape(policy="override_host", second_chance=True)


def retry_reaches_the_second(world, shape):
    """The picker names a worker that has just died and one after it: the route's retry reaches that, no client sees it."""
    with world.extra_workers(2) as (dead, alive):
        names = [dead.name, alive.name]
        with world.front(*BELIEVES, "--endpoints-per-pick", 2, shape=shape, endpoints=names, config=IN_TURN) as front:
            dead.kill()
            answers = [require_ok(post(front.port, completion(f"{number} " + words(300)))) for number in range(10)]
            picked = [answer.picked() for answer in answers]
            require(f"{dead.name},{alive.name}" in picked, f"the dead one was never named first: {picked}")
            require(all(len(pick.split(",")) == 2 for pick in picked), f"not two endpoints each: {picked}")
            served = {answer.served() for answer in answers}
            require(served == {alive.name}, f"served by {served}")


def dead_worker_is_left_out(world, shape):
    """Health checks find a dead worker; from then on nobody is sent there."""
    with world.extra_workers(2) as (dead, alive):
        names = [dead.name, alive.name]
        with world.front("--health-interval", 0.05, shape=shape, endpoints=names, config=IN_TURN) as front:
            dead.kill()
            deadline = time.monotonic() + 10
            while f"endpoint {dead.name} is unhealthy" not in front.picker.log.read_text():
                require(time.monotonic() < deadline, "its death was not noticed")
                time.sleep(0.02)
            for number in range(10):
                require(require_ok(post(front.port, completion(f"{number}"))).served() == alive.name, "sent to the dead")


def slow_upload_is_served(world, shape):
    """A client that stops half way in its upload and then goes on is served."""
    with world.front(shape=shape) as front:
        upload = HalfSent(front.port, completion(words(20_000)))
        require_ok(post(front.port, completion()))  # others are not held up
        upload.send_rest()
        require_ok(upload.answer())


def abandoned_uploads_are_forgotten(world, shape):
    """Clients that hang up half way in their uploads leave nothing behind: others are served, and reach both workers."""
    with world.front(shape=shape, config=BY_ACTIVE_REQUESTS, endpoints=world.names[:2]) as front:
        for _ in range(9):
            HalfSent(front.port, completion(words(20_000))).connection.close()
        served = [require_ok(post(front.port, completion(f"{number}"))).served() for number in range(8)]
        require(served.count(served[0]) == 4, f"what was abandoned still counts: {served}")


def worker_dies_in_its_answer(world, shape):
    """A worker killed in the middle of an answer cuts that answer off; its load is forgotten, the next are served."""
    with world.extra_workers(2) as (dead, alive):
        with world.front("--health-interval", 0.05, shape=shape, config=BY_ACTIVE_REQUESTS,
                         endpoints=[dead.name, alive.name]) as front:
            connections = []
            for number in range(2):  # one to each
                connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
                connection.request("POST", "/v1/completions", json.dumps(completion(f"{number}", 100_000, stream=True)),
                                   {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read1(1024)
                connections.append((response.headers["x-envoy-served"], connection, response))
            require({entry[0] for entry in connections} == {dead.name, alive.name}, "both went to one worker")
            dead.kill()
            require(is_cut_off(next(response for name, _, response in connections if name == dead.name)), "it goes on")
            for number in range(4):
                answer = post(front.port, completion(f"{number}"))
                require(answer.served() == alive.name or answer.status == 503, f"{answer.status} by {answer.served()}")
            for _, connection, _ in connections:
                connection.close()


def is_cut_off(response):
    try:
        return not response.read().endswith(b"[DONE]\n\n")
    except (http.client.IncompleteRead, OSError):
        return True


def killed_picker(world, shape):
    """The picker is killed while an upload stands half way. Fail-open and BUFFERED: served all the same. Else: 500 at once."""
    with world.front(shape=shape) as front:
        upload = HalfSent(front.port, completion(words(20_000)))
        require_ok(post(front.port, completion()))  # by now the picker has what came of the upload
        front.picker.kill()
        if shape.fail_open and shape.request_body == "BUFFERED":
            upload.send_rest()
            answer = require_ok(upload.answer())
            require(b'"completion_tokens":4' in answer.body, answer.body[-300:])
            return
        answer = upload.answer()
        require(answer.status == 500, f"status {answer.status}: {answer.body[:200]!r}")
        require(answer.seconds < AT_ONCE_SECONDS, f"it took {answer.seconds:.1f} s")


def picker_is_down(world, shape):
    """No picker at all: BUFFERED with fail-open is served by the fallback policy; fail-closed gets 500 at once."""
    with world.front(shape=shape) as front:
        require_ok(post(front.port, completion()))
        front.picker.kill()
        for number in range(4):
            answer = post(front.port, completion(f"{number}"))
            require(answer.status == (200 if shape.fail_open else 500), f"status {answer.status}: {answer.body[:200]!r}")
            require(answer.seconds < AT_ONCE_SECONDS, f"it took {answer.seconds:.1f} s")


def one_of_two_pickers_dies(world):
    """Fail-closed, with outlier detection and a retry of the stream: no client sees that a picker was killed."""
    with world.front(shape=SECOND_CHANCE, pickers=2) as front:
        for number in range(60):
            if number == 20:
                front.pickers[0].kill()
            require_ok(post(front.port, completion(f"{number} " + words(300))))


def stopping_picker_ends_its_streams(world, shape):
    """A picker told to stop goes on with a running answer to its end."""
    with world.front(shape=shape) as front:
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
        connection.request("POST", "/v1/completions", json.dumps(completion("go on", tokens=16_000, stream=True)),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        begin = response.read1(4096)
        front.picker.process.terminate()
        body = begin + response.read()
        connection.close()
        require(body.endswith(b"data: [DONE]\n\n"), f"it was cut off: {body[-100:]!r}")
        require(front.picker.process.wait(10) == 0, f"the picker ended with {front.picker.process.returncode}")


def running_answers_count(world, shape):
    """While one of two workers is answering, requests that come go to the other."""
    with world.front(shape=shape, config=BY_ACTIVE_REQUESTS, endpoints=world.names[:2]) as front:
        held = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
        held.request("POST", "/v1/completions", json.dumps(completion("x", tokens=100_000, stream=True)),
                     {"Content-Type": "application/json"})
        response = held.getresponse()
        response.read1(1024)
        busy = response.headers["x-envoy-served"]
        served = [require_ok(post(front.port, completion(f"{number}"))).served() for number in range(4)]
        held.close()
        require(busy not in served, f"{busy} is busy, and these served: {served}")


def dropped_answers_are_forgotten(world, shape):
    """Clients that hang up in the middle of their answers leave no load behind in the picker."""
    with world.front(shape=shape, config=BY_ACTIVE_REQUESTS, endpoints=world.names[:2]) as front:
        for _ in range(9):
            connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
            connection.request("POST", "/v1/completions", json.dumps(completion("x", tokens=100_000, stream=True)),
                               {"Content-Type": "application/json"})
            connection.getresponse().read1(1024)
            connection.close()
        wait_for_idle_workers(world.workers[:2])
        served = [require_ok(post(front.port, completion(f"{number}"))).served() for number in range(8)]
        require(served.count(served[0]) == 4, f"what was dropped still counts: {served}")


def wait_for_idle_workers(workers):
    deadline = time.monotonic() + 20
    while any(worker.running() for worker in workers):
        require(time.monotonic() < deadline, "dropped requests go on at the worker")
        time.sleep(0.02)
