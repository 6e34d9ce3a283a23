"""InferenceObjectives and InferenceModelRewrites."""
import json
import time

from checks import require
from machine import wait_until

REQUESTS = 10_000
OFF_BY = 0.02
MANY = 500
WHOLE_SECONDS = 2
WEIGHTS = {"small": 70, "large": 25, "canary": 5}
WORKERS_NAME = "small"  # the first of its names, which its answers have


def objectives_give_priorities(namespace):
    """Requests have the priority of the objective that they name, also after it changed; of none, 0."""
    namespace.pool()
    namespace.pod("worker")
    namespace.objective("batch", -1)
    namespace.objective("chat", 10)
    namespace.objective("of-another-pool", 7, pool="other")
    picker = namespace.picker()
    picker.wait_for_endpoints(1)
    front = namespace.envoy(picker)

    def asks(objective, priority, times=1):
        for _ in range(times):
            front.post(headers={"x-llm-d-inference-objective": objective})
        return picker.metric("llm_d_epp_request_total", f'priority="{priority}"') or 0

    for objective, priority in (("batch", -1), ("chat", 10), ("unknown", 0)):
        require(asks(objective, priority) == 1, f"{objective} does not mean {priority}")
    require(asks("of-another-pool", 0) == 2, "another pool's objective counts")
    namespace.api.merge("InferenceObjective", namespace.name, "chat", {"spec": {"priority": 20}})
    wait_until(lambda: asks("chat", 20), "the new priority is not used", 5)
    namespace.delete("InferenceObjective", "chat")
    before = picker.metric("llm_d_epp_request_total", 'priority="0"')
    wait_until(lambda: asks("chat", 0) > before, "a deleted objective still counts", 5)


def rewrites_by_weight(namespace):
    """10,000 requests for a model that is rewritten to three by weight: each is within 2 percentage points."""
    namespace.pool()
    namespace.pod("worker", flags=f"--served-model-name {' '.join(WEIGHTS)} other")
    namespace.rewrite("by-weight", [
        {"matches": [{"model": {"value": "assistant"}}],
         "targets": [{"modelRewrite": model, "weight": weight} for model, weight in WEIGHTS.items()]},
        {"matches": [{"model": {"value": "alias"}}], "targets": [{"modelRewrite": WORKERS_NAME}]}])
    picker = namespace.picker()
    picker.wait_for_endpoints(1)
    front = namespace.envoy(picker)
    statuses = front.post_many({"model": "assistant", "prompt": "hi", "max_tokens": 1}, REQUESTS)
    require(set(statuses) == {200}, f"answers: {dict(statuses)}")
    shares = {}
    for model, weight in WEIGHTS.items():
        count = picker.metric("llm_d_epp_request_total", f'target_model_name="{model}"') or 0
        shares[model] = count / REQUESTS
        require(abs(shares[model] - weight / 100) <= OFF_BY, f"{model} has {shares[model]:.1%} instead of {weight} %")
    told = json.loads(front.post(model="alias").body)["model"]
    require(told == "alias", f"the client asked for alias and hears of {told}")
    require(front.post(model="other").status == 200, "a model that no rule names is refused")
    return ", ".join(f"{model} {share:.2%}" for model, share in shares.items())


def rewrites_change(namespace):
    """A rule that names the model beats one for all; the older of two wins; a deleted one counts no more."""
    namespace.pool()
    namespace.pod("worker", flags="--served-model-name any older younger asked")
    namespace.rewrite("for-all", [{"targets": [{"modelRewrite": "any"}]}])
    picker = namespace.picker()
    picker.wait_for_endpoints(1)
    front = namespace.envoy(picker)

    def goes_to(target):
        def there():
            before = picker.metric("llm_d_epp_request_total", f'target_model_name="{target}"') or 0
            front.post(model="asked")
            return (picker.metric("llm_d_epp_request_total", f'target_model_name="{target}"') or 0) > before
        wait_until(there, f"requests are not sent as {target}", 5)

    goes_to("any")
    rule = {"matches": [{"model": {"value": "asked"}}]}
    namespace.rewrite("zz-older", [{**rule, "targets": [{"modelRewrite": "older"}]}])
    goes_to("older")
    time.sleep(1.1)  # creation times are whole seconds
    namespace.rewrite("aa-younger", [{**rule, "targets": [{"modelRewrite": "younger"}]}])
    namespace.delete("InferenceModelRewrite", "for-all")
    goes_to("older")
    namespace.delete("InferenceModelRewrite", "zz-older")
    goes_to("younger")
    namespace.delete("InferenceModelRewrite", "aa-younger")
    goes_to("asked")


def older_group(namespace):
    """Objects of the group where these kinds were before count as well."""
    namespace.pool()
    namespace.pod("worker", flags="--served-model-name real")
    group = {"apiVersion": "inference.networking.x-k8s.io/v1alpha2", "metadata": {"name": "older"}}
    namespace.kubectl("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": [
        {**group, "kind": "InferenceObjective", "spec": {"priority": 3, "poolRef": {"name": "pool"}}},
        {**group, "kind": "InferenceModelRewrite", "spec": {"poolRef": {"name": "pool"}, "rules": [
            {"targets": [{"modelRewrite": "real"}]}]}}]})
    picker = namespace.picker()
    picker.wait_for_endpoints(1)
    status = namespace.envoy(picker).post(model="any", headers={"x-llm-d-inference-objective": "older"}).status
    require(status == 200, f"the model is not rewritten: {status}")
    require(picker.metric("llm_d_epp_request_total", 'priority="3"') == 1, "its priority is not 3")


def five_hundred_at_once(namespace):
    """`kubectl apply` of 500 objectives: 2 s after the last is stored the picker knows them all."""
    namespace.pool()
    namespace.pod("worker")
    picker = namespace.picker()
    picker.wait_for_endpoints(1)
    manifest = {"apiVersion": "v1", "kind": "List", "items": [{
        "apiVersion": "llm-d.ai/v1alpha2", "kind": "InferenceObjective", "metadata": {"name": f"objective-{number}"},
        "spec": {"priority": number, "poolRef": {"name": "pool"}}} for number in range(MANY)]}
    namespace.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
    stored = time.monotonic()
    wait_until(lambda: picker.objects("InferenceObjective") == MANY,
               lambda: f"{picker.objects('InferenceObjective')} of {MANY} objects", WHOLE_SECONDS)
    return f"{(time.monotonic() - stored) * 1000:.0f} ms after kubectl's end"
