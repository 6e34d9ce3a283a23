"""Prefill and decode pods of examples/kubernetes: `kvasir sidecar` beside each decode worker, and a real API server's allowlist."""
import json

import examples
from checks import require
from examples import DECODE, LONG, MODEL, PORT, PREFILL, SERVING, ask, pods_of
from machine import wait_until
from pods import metric

WORKER_PORT = 8001  # behind the sidecar
BLOCKED = "llmd_sidecar_ssrf_blocked_requests_total"
FOLLOW_SECONDS = 30


def prompts_are_prefilled_in_one_pod_and_answered_in_another(namespace):
    """A named pod of the pool prefills, the decode pod reads its blocks and answers as one that does both; and by the picker."""
    world = namespace.world
    examples.start_examples(world)
    decoder, other, *_ = pods_of(world, DECODE).values()
    prefiller = next(iter(pods_of(world, PREFILL).values()))
    told = [_two_legs(decoder, prefiller, other)]
    told.append(_by_the_picker(namespace))
    log = world.plane.kubectl("-n", SERVING, "logs", "-l", f"app={DECODE}", "-c", "routing-sidecar", "--tail=-1")
    require("does not allow" not in log, f"the example's Role lacks a right: {log}")
    return "\n".join(told)


def _two_legs(decoder, prefiller, other):
    prompt = "two legs: " + LONG * 8
    before, served = _transferred(decoder), metric(prefiller, "vllm:request_success_total", port=PORT)
    answer = ask(decoder, prompt, f"{prefiller}:{PORT}")
    require(answer.status == 200, f"{answer.status}: {answer.body}")
    tokens, size = (after - earlier for after, earlier in zip(_transferred(decoder), before))
    require(tokens > 0 and size > 0, f"the decode worker read nothing: {tokens} tokens, {size} bytes")
    require(metric(prefiller, "vllm:request_success_total", port=PORT) == served + 1, "it was not that pod that prefilled")
    both = ask(other, prompt)
    require(_text(answer) == _text(both), f"{_text(answer)!r} instead of {_text(both)!r}")
    return f"{prefiller} prefilled for {decoder}: {tokens:.0f} tokens, {size:.0f} bytes, the answer of a pod that does both"


def _transferred(decoder):
    return [metric(decoder, name, port=WORKER_PORT) for name in ("vllm:external_prefix_cache_hits_total", "kvasir_kv_transfer_bytes_total")]


def _text(answer):
    return json.loads(answer.body)["choices"][0]["text"]


def _by_the_picker(namespace):
    """Envoy asks the example's picker, whose one profile has both filters: prompts that nobody has cached are prefilled apart."""
    world = namespace.world
    if not world.envoy.exists():
        return "not tried with the picker: no Envoy"
    service = world.api.get("Service", "llm-d-system", "endpoint-picker")["spec"]["clusterIP"]
    front = namespace.envoy_before([(service, 9000)])
    decoders = pods_of(world, DECODE).values()
    before = {address: _transferred(address)[0] for address in decoders}
    answers = [front.post(model=MODEL, prompt=f"{number} by the picker: " + LONG * 8) for number in range(12)]
    require({answer.status for answer in answers} == {200}, f"{answers[-1].status}: {answers[-1].body[:300]}")
    named = {answer.headers.get("x-prefill-pod") for answer in answers}
    expected = {f"{address}:{PORT}" for address in pods_of(world, PREFILL).values()}
    require(named and named <= expected, f"x-prefill-pod: {named} instead of {expected}")
    tokens = sum(_transferred(address)[0] - before[address] for address in decoders)
    require(tokens > 0, "the decode workers read nothing")
    return f"by the picker: {len(answers)} requests, prefilled by {', '.join(sorted(named))}, {tokens:.0f} tokens handed over"


def sidecars_refuse_who_is_not_in_the_pool(namespace):
    """403 for pods outside, decode pods and other ports; pods that come and go are followed; one that does not listen is a 502."""
    world = namespace.world
    examples.start_examples(world)
    decoder, other, *_ = pods_of(world, DECODE).values()
    prefiller = next(iter(pods_of(world, PREFILL).values()))
    outside = next(iter(pods_of(world, "vllm-decode-worker").values()))
    refused = {"a pod that is not in the pool": f"{outside}:{WORKER_PORT}", "it, at the pool's port": f"{outside}:{PORT}",
               "a decode pod": f"{other}:{PORT}", "a prefill pod's side channel": f"{prefiller}:5556",
               "the API server": f"{world.api.get('Service', 'default', 'kubernetes')['spec']['clusterIP']}:443"}
    before = metric(decoder, BLOCKED, port=PORT)
    for what, address in refused.items():
        answer = ask(decoder, LONG, address)
        require(answer.status == 403, f"{what} ({address}): {answer.status}: {answer.body}")
    blocked = metric(decoder, BLOCKED, port=PORT) - before
    require(blocked == len(refused), f"{BLOCKED}: {blocked} more after {len(refused)}")
    return "\n".join([f"403: {', '.join(refused)}", _a_pod_comes_and_goes(world, decoder), _a_pod_that_does_not_listen(world, decoder)])


def _a_pod_comes_and_goes(world, decoder):
    address = _prefill_pod(world, "late")
    wait_until(lambda: ask(decoder, LONG, address).status == 200, "a new pod stays refused", FOLLOW_SECONDS)
    size, expected = metric(decoder, "llmd_sidecar_allowlist_size", port=PORT), len(pods_of(world, PREFILL)) + 1
    require(size == expected, f"{size} in the allowlist instead of {expected}")
    world.plane.kubectl("-n", SERVING, "label", "pod", "late", "role-")
    wait_until(lambda: ask(decoder, LONG, address).status == 403, "a pod that left the pool is still allowed", FOLLOW_SECONDS)
    world.plane.kubectl("-n", SERVING, "label", "pod", "late", "role=inference")
    wait_until(lambda: ask(decoder, LONG, address).status == 200, "a pod that is back stays refused", FOLLOW_SECONDS)
    world.plane.kubectl("-n", SERVING, "delete", "pod", "late", "--wait=false")
    wait_until(lambda: ask(decoder, LONG, address).status == 403, "a pod that is deleted is still allowed", FOLLOW_SECONDS)
    return "a pod that comes is allowed; one whose labels no longer fit, and one that is deleted, are refused"


def _a_pod_that_does_not_listen(world, decoder):
    address = _prefill_pod(world, "silent", command=["sleep", "600"], readinessProbe=None, args=None)
    wait_until(lambda: ask(decoder, LONG, address).status == 502, "it is no 502", FOLLOW_SECONDS)
    name = next(name for name, known in pods_of(world, DECODE).items() if known == decoder)
    log = world.plane.kubectl("-n", SERVING, "logs", name, "-c", "routing-sidecar")
    world.plane.kubectl("-n", SERVING, "delete", "pod", "silent", "--force", "--grace-period=0")
    told = [line for line in log.splitlines() if "connector_error: prefill worker" in line and address in line]
    require(told, f"no connector_error for {address}: {log}")
    return f"a pod that does not listen: 502, and the log says: {told[0]}"


def _prefill_pod(world, name, **container):
    """A pod of the pool beside those of the Deployment; its address and port, as soon as it is Ready."""
    template = world.api.get("Deployment", SERVING, PREFILL)["spec"]["template"]
    fields = {key: value for key, value in {**template["spec"]["containers"][0], **container}.items() if value is not None}
    spec = {**template["spec"], "containers": [fields], "terminationGracePeriodSeconds": 1}
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != "app"}
    world.plane.kubectl("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SERVING, "labels": {**labels, "app": name}}, "spec": spec}))
    world.plane.kubectl("-n", SERVING, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    return f"{world.api.get('Pod', SERVING, name)['status']['podIP']}:{PORT}"
