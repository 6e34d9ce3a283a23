"""`kvasir gateway` on the pods of a cluster."""
from checks import require
from front import post_to


def pods_serve(namespace):
    """The gateway stands alone before three pods: each serves, also after one more came and two went."""
    namespace.pool()
    pods = {name: namespace.pod(name) for name in ("one", "two", "three")}
    gateway = namespace.gateway()
    gateway.wait_for_endpoints(3)
    _check_served(gateway, namespace, pods)
    pods["four"] = namespace.pod("four")
    for name in ("one", "two"):
        namespace.delete("Pod", name)
        del pods[name]
    gateway.wait_for_endpoints(2)
    _check_served(gateway, namespace, pods)


def rewrites_and_priorities(namespace):
    """An InferenceModelRewrite counts for the gateway, too: the worker knows the new name alone."""
    namespace.pool()
    namespace.pod("worker", flags="--served-model-name real")
    namespace.rewrite("names", [{"matches": [{"model": {"value": "alias"}}], "targets": [{"modelRewrite": "real"}]}])
    gateway = namespace.gateway()
    gateway.wait_for_endpoints(1)
    answer = post_to(gateway.port, model="alias")
    require(answer.status == 200, f"{answer.status}: {answer.body[:300]}")


def _check_served(gateway, namespace, pods):
    served = {post_to(gateway.port, prompt=f"{number} " + "word " * 50).headers.get("x-selected-pod") for number in range(30)}
    expected = {f"{namespace.name}/{name}-rank-0" for name in pods}
    require(served == expected, f"{served} served instead of {expected}")
