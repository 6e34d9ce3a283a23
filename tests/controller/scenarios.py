"""What is shown of `kvasir controller`, each a function of a World."""
import collections
import functools
import json
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import objects
import route_cases
from backends import Backend
from http_client import send
from programs import Controlled, Gateway, Picker, Worker, until

REQUESTS = 200
MODEL = "Qwen/Qwen3-32B"

GATEWAY = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": "infra"},
           "spec": {"gatewayClassName": "kvasir", "listeners": [
               {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}]}}
GRANT = {"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
         "metadata": {"name": "allow-scheduler-httproute", "namespace": "llm-d-vllm"},
         "spec": {"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute",
                            "namespace": "llm-d-inference-scheduler"}], "to": [{"group": "", "kind": "Service"}]}}


@dataclass
class World:
    kvasir: Path
    envoy: Path
    folder: Path  # of this scenario

    def __post_init__(self):
        self.folder.mkdir(parents=True, exist_ok=True)


def service(namespace, name, port=8080):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"ports": [{"port": port}]}}


def route(namespace, name, rules, **more):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"parentRefs": [{"name": "gw", "namespace": "infra"}], "rules": rules, **more}}


def to(name, namespace, port=8080, **more):
    return {"name": name, "namespace": namespace, "port": port, **more}


def by_header(value, backend):
    return {"matches": [{"path": {"value": "/v1"}, "headers": [{"name": "x-kv-backend", "value": value}]}],
            "backendRefs": [backend]}


def completion(prompt="to be or not to be", tokens=4):
    return json.dumps({"model": MODEL, "prompt": prompt, "max_tokens": tokens}).encode()


JSON = [("Content-Type", "application/json")]


def ab_objects(stack):
    """The A/B route of the documents, with a default route: objects, backends by name."""
    backends = {name: Backend(f"llm-d-vllm/{name}:8080") for name in ("vllm-fs-proxy", "vllm-p2p-proxy", "vllm-default")}
    services = [service("llm-d-vllm", name) for name in backends]
    slices = [objects.slice_of(one, one["spec"]["ports"][0], [("127.0.0.1", backends[one["metadata"]["name"]].port)])
              for one in services]
    for backend in backends.values():
        stack.callback(backend.stop)
    ab = route("llm-d-inference-scheduler", "vllm-ab-test", [
        by_header("nvlink", to("vllm-p2p-proxy", "llm-d-vllm")), by_header("fs", to("vllm-fs-proxy", "llm-d-vllm"))])
    default = route("llm-d-inference-scheduler", "llm-d-inference-scheduling", [
        {"matches": [{"path": {"value": "/"}}], "backendRefs": [to("vllm-default", "llm-d-vllm")]}])
    return [GATEWAY, ab, default, GRANT, *services, *slices], backends


def same_backend_each_time(world):
    """200 requests by Gateway, HTTPRoute with header match, Services and ReferenceGrant: gateway and Envoy send each alike."""
    with ExitStack() as stack:
        made, _ = ab_objects(stack)
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(made), [80])
        stack.callback(front.stop)
        gateway = Gateway(world.kvasir, world.folder, front.manifest, 80, ["http://127.0.0.1:1"])
        stack.callback(gateway.stop)
        counts = collections.Counter()
        for number in range(REQUESTS):
            value = (None, "nvlink", "fs", "other")[number % 4]
            headers = JSON + ([("x-kv-backend", value)] if value else [])
            url = "http://llm.example.com/" + ("v1/completions", "v1/models", "other")[number % 3]
            answers = [send(url, port, "POST", headers, completion()) for port in (gateway.port, front.ports[80])]
            seen = [(one.status, one.backend(), one.route()) for one in answers]
            assert seen[0] == seen[1], f"{url} x-kv-backend {value}: gateway {seen[0]}, Envoy {seen[1]}"
            counts[seen[0][1]] += 1
        print(f"       {dict(counts)}", flush=True)
        assert len(counts) == 3, counts


def without_its_grant(world):
    """The ReferenceGrant goes while Envoy runs: its requests are refused with 500 there as in the gateway; it comes back."""
    with ExitStack() as stack:
        made, _ = ab_objects(stack)
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(made), [80])
        stack.callback(front.stop)
        gateway = Gateway(world.kvasir, world.folder, front.manifest, 80, ["http://127.0.0.1:1"])
        stack.callback(gateway.stop)

        def statuses():
            return [send("http://a/v1/x", port, "GET", [("x-kv-backend", "fs")]).status
                    for port in (gateway.port, front.ports[80])]
        assert statuses() == [200, 200], statuses()
        front.manifest.write_text(objects.as_text([one for one in made if one is not GRANT]))
        until(lambda: statuses() == [500, 500], f"not refused: {statuses()}")
        logs = [log.text() for log in (gateway.program, front.controller)]
        assert all("RefNotPermitted" in log for log in logs), logs
        conditions = [sorted({line.partition("routes: ")[2] for line in log.splitlines() if "RefNotPermitted" in line})
                      for log in logs]
        assert conditions[0] == conditions[1], conditions
        front.manifest.write_text(objects.as_text(made))
        until(lambda: statuses() == [200, 200], f"still refused: {statuses()}")
        front.require_nothing_rejected()


def changes_under_load(world):
    """Routes and endpoints change 10 times under requests: none fails, and each change counts."""
    with ExitStack() as stack:
        made, backends = ab_objects(stack)
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(made), [80])
        stack.callback(front.stop)
        stop, bad, count = threading.Event(), collections.Counter(), collections.Counter()

        def load():
            while not stop.is_set():
                answer = send("http://a/x", front.ports[80])
                count[answer.backend()] += 1
                if answer.status != 200:
                    bad[answer.short()] += 1
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            names = ["vllm-fs-proxy", "vllm-p2p-proxy", "vllm-default"]
            for number in range(10):
                name = names[number % 3]
                changed = [one for one in made if one["metadata"]["name"] != "llm-d-inference-scheduling"]
                changed.append(route("llm-d-inference-scheduler", f"new-{number}", [
                    {"backendRefs": [to(name, "llm-d-vllm")]}]))
                front.manifest.write_text(objects.as_text(changed))
                until(lambda n=number, b=name: (lambda a: a.route().endswith(f"new-{n}") and a.backend() ==
                                                f"llm-d-vllm/{b}:8080")(send("http://a/x", front.ports[80])),
                      f"change {number} does not count")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        front.require_nothing_rejected()
        print(f"       {sum(count.values())} requests, {sum(bad.values())} failed", flush=True)
        assert not bad, bad


def pool_objects(picker_port, mode="FailClose"):
    pool = {"apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool",
            "metadata": {"name": "llm", "namespace": "apps"},
            "spec": {"selector": {"matchLabels": {"app": "vllm"}}, "targetPorts": [{"number": 8000}]}}
    picker = objects.picker_service(pool, picker_port)
    pool["spec"]["endpointPickerRef"]["failureMode"] = mode
    llm = route("apps", "llm", [{"backendRefs": [
        {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "llm"}]}])
    return [GATEWAY, llm, pool, *picker]


def pods_of(workers):
    """One pod for each: its address is one of this machine's own, where the pool's port is one for all."""
    return [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"w{number}", "namespace": "apps",
                                                             "labels": {"app": "vllm"}},
             "status": {"podIP": host, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
            for number, (host, _) in enumerate(workers)]


def served_by(answers):
    return collections.Counter(answer.headers.get("x-selected-pod", "-") for answer in answers)


def pools_are_alike(world):
    """An InferencePool: 200 completions through the gateway that picks itself, and through Envoy that asks kvasir epp."""
    with ExitStack() as stack:
        workers = [Worker(world.kvasir, world.folder) for _ in range(3)]
        for worker in workers:
            stack.callback(worker.stop)
        picker = Picker(world.kvasir, world.folder, [worker.name for worker in workers], "--answer-headers")
        stack.callback(picker.stop)
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(pool_objects(picker.port)), [80])
        stack.callback(front.stop)
        gateway = Gateway(world.kvasir, world.folder, front.manifest, 80, [f"http://{worker.name}" for worker in workers])
        stack.callback(gateway.stop)
        seen = []
        for port in (gateway.port, front.ports[80]):
            answers = [send("http://llm/v1/completions", port, "POST", JSON, completion(f"prompt {number} " * 8))
                       for number in range(REQUESTS)]
            wrong = [one.short() for one in answers if one.status != 200 or b'"completion_tokens":4' not in one.body]
            assert not wrong, wrong[:3]
            seen.append(served_by(answers))
        print(f"       gateway {dict(seen[0])}, Envoy {dict(seen[1])}", flush=True)
        assert all(set(counts) <= {worker.name for worker in workers} for counts in seen), seen
        assert all(len(counts) == 3 for counts in seen), seen


def picker_fails(world):
    """The picker dies. FailClose: 500 at once. FailOpen: any of the pool's ready pods serves."""
    for mode, status in (("FailClose", 500), ("FailOpen", 200)):
        with ExitStack() as stack:
            folder = world.folder / mode
            folder.mkdir()
            worker = Worker(world.kvasir, folder)
            stack.callback(worker.stop)
            picker = Picker(world.kvasir, folder, [worker.name])
            stack.callback(picker.stop)
            made = pool_objects(picker.port, mode)
            made[2]["spec"]["targetPorts"] = [{"number": worker.port}]
            made += pods_of([("127.0.0.1", worker.port)])
            front = Controlled(world.kvasir, world.envoy, folder, objects.as_text(made), [80])
            stack.callback(front.stop)

            def post():
                return send("http://llm/v1/completions", front.ports[80], "POST", JSON, completion())
            answer = post()
            assert answer.status == 200, f"{mode}, picker lives: {answer.short()}"
            picker.stop()
            answers = [post() for _ in range(20)]
            assert {one.status for one in answers} == {status}, (mode, [one.short() for one in answers][:3])


def client_names_no_endpoint(world):
    """A client that sends the picker's own header gets no further than the pool: the picker's word counts."""
    with ExitStack() as stack:
        worker, other = Worker(world.kvasir, world.folder), Backend("not/of:1")
        stack.callback(worker.stop)
        stack.callback(other.stop)
        picker = Picker(world.kvasir, world.folder, [worker.name])
        stack.callback(picker.stop)
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(pool_objects(picker.port)), [80])
        stack.callback(front.stop)
        headers = JSON + [("x-gateway-destination-endpoint", f"127.0.0.1:{other.port}")]
        for method, body in (("POST", completion()), ("GET", None)):
            answer = send("http://llm/v1/" + ("completions" if body else "models"), front.ports[80], method, headers, body)
            assert answer.status == 200 and not answer.backend(), answer.short()
        assert other.count() == 0, "the client chose"


def filters_are_carried_out(world):
    """Header modifiers of rule and backend, in their order; a percent sign is one."""
    with ExitStack() as stack:
        made, _ = ab_objects(stack)
        modifier = {"set": [{"name": "x-set", "value": "100%"}], "add": [{"name": "x-add", "value": "rule"}],
                    "remove": ["x-gone"]}
        of_backend = {"set": [{"name": "x-set", "value": "backend"}], "add": [{"name": "x-add", "value": "backend"}]}
        rules = [
            {"matches": [{"path": {"value": "/rule"}}],
             "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": modifier}],
             "backendRefs": [to("vllm-default", "llm-d-vllm")]},
            {"matches": [{"path": {"value": "/both"}}],
             "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": modifier}],
             "backendRefs": [{**to("vllm-default", "llm-d-vllm"), "filters": [
                 {"type": "RequestHeaderModifier", "requestHeaderModifier": of_backend}]}]}]
        made.append(route("llm-d-inference-scheduler", "filters", rules))
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(made), [80])
        stack.callback(front.stop)
        gateway = Gateway(world.kvasir, world.folder, front.manifest, 80, ["http://127.0.0.1:1"])
        stack.callback(gateway.stop)
        for path in ("/rule", "/both"):
            sent = [send("http://a" + path, port, headers=[("x-gone", "1"), ("x-set", "0"), ("x-add", "0")]).told()
                    for port in (gateway.port, front.ports[80])]
            seen = [sorted(tuple(field) for field in one["headers"] if field[0] in ("x-gone", "x-set", "x-add"))
                    for one in sent]
            assert seen[0] == seen[1], f"{path}: gateway {seen[0]}, Envoy {seen[1]}"


@contextmanager
def both_programs(world, rules, **more):
    """The ports of a gateway and of an Envoy with these rules of one route, beside the A/B objects; the backends."""
    with ExitStack() as stack:
        made, backends = ab_objects(stack)
        made.append(route("llm-d-inference-scheduler", "rules", rules, **more))
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(made), [80])
        stack.callback(front.stop)
        gateway = Gateway(world.kvasir, world.folder, front.manifest, 80, ["http://127.0.0.1:1"])
        stack.callback(gateway.stop)
        yield (gateway.port, front.ports[80]), backends


def rule(path, *filters, backends=None, **more):
    made = {"matches": [{"path": {"value": path}}], **more}
    if filters:
        made["filters"] = list(filters)
    return {**made, "backendRefs": [to("vllm-default", "llm-d-vllm")] if backends is None else backends}


def response_header(**changes):
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {
        **{kind: [{"name": name, "value": value} for name, value in changes.get(kind, {}).items()]
           for kind in ("set", "add")}, "remove": changes.get("remove", [])}}


def answers_are_changed_alike(world):
    """ResponseHeaderModifier of rule and backend, also of redirects and refusals: the same fields by both."""
    of_rule = response_header(set={"x-who": "rule"}, add={"x-more": "100%"}, remove=["content-type"])
    of_backend = {**to("vllm-default", "llm-d-vllm"), "filters": [response_header(set={"x-who": "backend", "x-own": "1"})]}
    rules = [rule("/rule", of_rule), rule("/both", of_rule, backends=[of_backend]),
             rule("/gone", response_header(set={"x-who": "rule"}), backends=[to("nobody", "llm-d-vllm")]),
             rule("/moved", response_header(set={"x-who": "rule"}), {"type": "RequestRedirect", "requestRedirect": {
                 "hostname": "b.test"}}, backends=[])]
    with both_programs(world, rules) as (ports, _):
        for path in ("/rule", "/both", "/gone", "/moved"):
            answers = [send("http://a" + path, port) for port in ports]
            seen = [(one.status, {name: one.headers.get(name) for name in ("x-who", "x-more", "x-own", "location")})
                    for one in answers]
            assert seen[0] == seen[1], f"{path}: gateway {seen[0]}, Envoy {seen[1]}"
            assert seen[0][1]["x-who"] == "rule", f"{path}: {seen[0]}"
        assert all("content-type" not in send("http://a/rule", port).headers for port in ports)


def backends_rewrite_by_themselves(world):
    """URLRewrite and RequestRedirect of one backend count for its share alone."""
    rewrite = {"type": "URLRewrite", "urlRewrite": {"hostname": "own.test", "path": {
        "type": "ReplacePrefixMatch", "replacePrefixMatch": "/own"}}}
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "away.test"}}
    rules = [rule("/split", backends=[
        {**to("vllm-fs-proxy", "llm-d-vllm"), "weight": 1, "filters": [rewrite]},
        {**to("vllm-p2p-proxy", "llm-d-vllm"), "weight": 2},
        {**to("vllm-default", "llm-d-vllm"), "weight": 1, "filters": [redirect]},
        {**to("nobody", "llm-d-vllm"), "weight": 1}])]
    with both_programs(world, rules) as (ports, _):
        for port in ports:
            seen = collections.Counter()
            for _ in range(400):
                answer = send("http://a/split/x", port)
                told = answer.told()
                seen[(answer.status, told.get("path"), dict(told.get("headers", [])).get("host") == "own.test",
                      answer.headers.get("location"))] += 1
            wanted = {(200, "/own/x", True, None): 80, (200, "/split/x", False, None): 160,
                      (302, None, False, "http://away.test/split/x"): 80, (500, None, False, None): 80}
            assert set(seen) == set(wanted), seen
            assert all(count / 2 < seen[what] < count * 2 for what, count in wanted.items()), seen


def origins_are_judged_alike(world):
    """CORS: which origins may read answers, and which may ask beforehand."""
    cors = {"type": "CORS", "cors": {
        "allowOrigins": ["https://app.example.com", "https://*.trusted.test"], "allowMethods": ["POST", "GET"],
        "allowHeaders": ["content-type", "authorization"], "exposeHeaders": ["x-request-id"], "maxAge": 60,
        "allowCredentials": True}}
    names = ("access-control-allow-origin", "access-control-allow-credentials")
    with both_programs(world, [rule("/cors", cors)]) as (ports, backends):
        for origin, allowed in (("https://app.example.com", True), ("https://a.b.trusted.test", True),
                                ("https://trusted.test", False), ("http://app.example.com", False),
                                ("https://app.example.com.evil.test", False), (None, False)):
            fields = [("Origin", origin)] if origin else []
            answers = [send("http://a/cors", port, headers=fields) for port in ports]
            seen = [(one.status, [one.headers.get(name) for name in names]) for one in answers]
            assert seen[0] == seen[1], f"{origin}: gateway {seen[0]}, Envoy {seen[1]}"
            assert seen[0] == (200, [origin, "true"] if allowed else [None, None]), f"{origin}: {seen[0]}"
            if not origin:
                continue
            before = backends["vllm-default"].count()
            asked = [send("http://a/cors", port, "OPTIONS", fields + [("Access-Control-Request-Method", "POST")])
                     for port in ports]
            seen = [one.headers.get(names[0]) for one in asked]
            assert seen == [origin if allowed else None] * 2, f"{origin}, asked beforehand: {seen}"
            if allowed:
                seen = [{name.strip().lower() for name in one.headers["access-control-allow-headers"].split(",")}
                        for one in asked]
                assert seen[0] == seen[1], seen
                assert all(one.headers["access-control-max-age"] == "60" for one in asked)
            assert backends["vllm-default"].count() == before, f"{origin}: a preflight request reached the backend"


def requests_end_in_time(world):
    """timeouts.request: 504 by both when no answer begins in time; no limit without it."""
    rules = [rule("/short", timeouts={"request": "300ms"}), rule("/long")]
    with both_programs(world, rules) as (ports, backends):
        backends["vllm-default"].server.pause = 0.8
        for path, status in (("/short", 504), ("/long", 200)):
            seen = [send("http://a" + path, port).status for port in ports]
            assert seen == [status, status], f"{path}: {seen}"


def answers_are_tried_again_alike(world):
    """retry: a status of its codes is tried again at the next member, others are passed on."""
    rules = [rule("/again", retry={"codes": [503], "attempts": 2, "backoff": "10ms"}), rule("/once")]
    with both_programs(world, rules) as (ports, backends):
        server = backends["vllm-default"].server
        for status, path, wanted in ((503, "/again", 3), (503, "/once", 1), (500, "/again", 1)):
            for port in ports:
                server.status, before = status, server.count
                answer = send("http://a" + path, port)
                assert answer.status == status, answer.short()
                assert server.count - before == wanted, f"{status} {path}: {server.count - before} tries"


def copies_go_to_the_mirror(world):
    """RequestMirror: each request once more, at the Service that is named; the client hears of its own backend alone."""
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": to("vllm-fs-proxy", "llm-d-vllm")}}
    with both_programs(world, [rule("/copied", mirror)]) as (ports, backends):
        copies = backends["vllm-fs-proxy"]
        for port in ports:
            before = copies.count()
            for _ in range(20):
                assert send("http://a/copied", port).backend() == "llm-d-vllm/vllm-default:8080"
            until(lambda: copies.count() == before + 20, f"{copies.count() - before} copies of 20")


def long_expressions_are_taken(world):
    """A regular expression that Envoy by itself would refuse as too large."""
    with ExitStack() as stack:
        made, _ = ab_objects(stack)
        regex = "/(" + "|".join(f"model-{number}-[a-z]{{1,99}}" for number in range(40)) + ")"
        made.append(route("llm-d-inference-scheduler", "long", [
            {"matches": [{"path": {"type": "RegularExpression", "value": regex}}],
             "backendRefs": [to("vllm-fs-proxy", "llm-d-vllm")]}]))
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text(made), [80])
        stack.callback(front.stop)
        answer = send("http://a/model-17-x", front.ports[80])
        assert answer.backend() == "llm-d-vllm/vllm-fs-proxy:8080", answer.short()


def certificate_is_renewed(world):
    """HTTPS by SNI; a new certificate counts without a restart; another listener's host is 421."""
    with ExitStack() as stack:
        made, _ = ab_objects(stack)
        gateway = json.loads(json.dumps(GATEWAY))
        names = ("one.test", "two.test")
        gateway["spec"]["listeners"] = [
            {"name": name.split(".")[0], "port": 443, "protocol": "HTTPS", "hostname": name,
             "allowedRoutes": {"namespaces": {"from": "All"}}, "tls": {"certificateRefs": [{"name": name}]}} for name in names]

        def secrets():
            for name in names:
                certificate, key = objects.certificate(world.folder)
                yield {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                       "metadata": {"name": name, "namespace": "infra"},
                       "stringData": {"tls.crt": certificate, "tls.key": key}}
        made[0] = gateway
        front = Controlled(world.kvasir, world.envoy, world.folder, objects.as_text([*made, *secrets()]), [443])
        stack.callback(front.stop)
        port = front.ports[443]

        def fingerprint(name):
            text = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name],
                                  input=b"", capture_output=True).stdout
            return text.partition(b"BEGIN CERTIFICATE")[2].partition(b"END CERTIFICATE")[0]
        before = [fingerprint(name) for name in names]
        assert all(before) and before[0] != before[1]
        assert send("https://one.test/x", port).status == 200
        assert send("https://two.test/x", port, server_name="one.test").status == 421
        front.manifest.write_text(objects.as_text([*made, *secrets()]))
        until(lambda: all(fingerprint(name) not in (b"", old) for name, old in zip(names, before)), "not renewed")
        assert send("https://two.test/x", port).status == 200
        front.require_nothing_rejected()


def cases_of(path, world):
    """Requests of a file of route cases, through Envoy: where the case says, refused as it says."""
    count, problems, differences = route_cases.play_file(world.kvasir, world.envoy, world.folder, path)
    print(f"       {path.stem}: {count} requests, {len(differences)} known differences", flush=True)
    for line in differences:
        print(f"           {line}", flush=True)
    assert not problems, "\n    ".join(problems)


def all_scenarios():
    found = [(scenario.__name__, scenario) for scenario in (
        same_backend_each_time, without_its_grant, changes_under_load, filters_are_carried_out,
        answers_are_changed_alike, backends_rewrite_by_themselves, origins_are_judged_alike, requests_end_in_time,
        answers_are_tried_again_alike, copies_go_to_the_mirror,
        long_expressions_are_taken, certificate_is_renewed, pools_are_alike, picker_fails, client_names_no_endpoint)]
    for path in sorted(route_cases.CASES.glob("*.yaml")):
        scenario = functools.partial(cases_of, path)
        scenario.__doc__ = cases_of.__doc__
        found.append((f"cases.{path.stem}", scenario))
    return found
