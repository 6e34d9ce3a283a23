"""Every request of tests/routes/cases, sent to a real Envoy that `kvasir controller` programmed."""
import pathlib
import urllib.parse
from contextlib import ExitStack

import objects
from backends import Backend
from http_client import send
from programs import Controlled, Picker, Program, free_port, wait_for

CASES = pathlib.Path(__file__).resolve().parents[1] / "routes" / "cases"
# Of a request that several backends share: with so many each has its turn.
SHARED_TRIES = 60

# What Envoy does otherwise, and why; by file and the end of METHOD URL.
KNOWN = {
    ("hostnames", "http://EXACT.test/"): "the cases ask the table, where names are in lower case; programs compare without case",
    ("headers_and_queries", "post http://a.test/m"): "Envoy knows no method in lower case: 400",
    ("headers_and_queries", "q?animal=%77hale"): "Envoy compares parameters of a query without decoding them",
}


def known(file, line):
    return next((why for (name, end), why in KNOWN.items() if name == file and line.endswith(end)), None)


def expected(case):
    if case.get("to"):
        return sorted(case["to"])
    return f"{case['status']} {case['location']}" if "location" in case else str(case["status"])


def header_pairs(case):
    for name, value in (case.get("headers") or {}).items():
        for each in value if isinstance(value, list) else [value]:
            yield name, str(each)


def where(answer):
    """As `to` and `status` of the cases have it."""
    if answer.backend():
        return answer.backend()
    location = answer.headers.get("location")
    return f"{answer.status} {location}" if location else str(answer.status)


def problem_of(case, answers):
    """None: as the case says."""
    wanted = expected(case)
    seen = sorted({where(answer) for answer in answers})
    if seen != (wanted if isinstance(wanted, list) else [wanted]):
        return f"wanted {wanted}, got {seen}"
    told = next((answer for answer in answers if answer.backend()), None)
    if told is None:
        return None
    if case.get("rule") and told.route() != case["rule"].split(" ")[0]:
        return f"wanted {case['rule']}, got route {told.route()}"
    sent = told.told()
    if case.get("sent_path") and sent["path"] != case["sent_path"]:
        return f"wanted the path {case['sent_path']}, sent {sent['path']}"
    if case.get("sent_host") and dict(sent["headers"])["host"] != case["sent_host"]:
        return f"wanted the host {case['sent_host']}, sent {dict(sent['headers'])['host']}"
    return None


def h2c_bridge(envoy, folder, backend, stack):
    """A port that speaks HTTP/2 alone and sends requests on to `backend`: an Envoy of its own."""
    import json
    port = free_port()
    manager = {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
                        ".HttpConnectionManager",
               "stat_prefix": "bridge", "codec_type": "HTTP2",
               "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                   {"match": {"prefix": "/"}, "route": {"cluster": "backend"}}]}]},
               "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                   "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}

    def address(at):
        return {"socket_address": {"address": "127.0.0.1", "port_value": at}}
    config = {"static_resources": {
        "listeners": [{"address": address(port), "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
        "clusters": [{"name": "backend", "type": "STATIC", "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(backend.port)}}]}]}}]}}
    file = folder / f"bridge-{port}.json"
    file.write_text(json.dumps(config))
    program = Program([envoy, "-c", file, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"],
                      folder / "bridge.log")
    stack.callback(program.stop)
    wait_for(port, process=program.process)
    return port


class Scene:
    """The objects of one file with backends on this machine, and the Envoy that carries by them."""

    def __init__(self, kvasir, envoy, folder, path, stack):
        text = path.read_text()
        certificate, key = objects.certificate(folder)
        head, _, rest = text.partition(objects.DIVIDER)
        self.cases = objects.read(head)[0].get("requests") or []
        self.objects = objects.read(rest)
        for secret in objects.of_kind(self.objects, "Secret"):
            data = secret.get("stringData", {})
            if data.get("tls.crt") == objects.STUB_CERTIFICATE:
                data["tls.crt"], data["tls.key"] = certificate, key
        for service in objects.of_kind(self.objects, "Service"):
            self.add_backends(envoy, folder, service, stack)
        for pool in objects.of_kind(self.objects, "InferencePool"):
            backend = Backend(objects.name_of(pool))
            stack.callback(backend.stop)
            picker = Picker(kvasir, folder, [f"127.0.0.1:{backend.port}"])
            stack.callback(picker.stop)
            self.objects += objects.picker_service(pool, picker.port)
        ports = {listener["port"] for gateway in objects.of_kind(self.objects, "Gateway")
                 for listener in gateway["spec"]["listeners"]}
        # What is listened on nowhere must be refused, too.
        ports |= {port_of(case["url"]) for case in self.cases}
        self.front = Controlled(kvasir, envoy, folder, objects.as_text(self.objects), sorted(ports),
                                "--gateway-class", "kvasir")
        stack.callback(self.front.stop)
        self.front.validate(envoy)

    def add_backends(self, envoy, folder, service, stack):
        for port in service["spec"].get("ports") or []:
            backend = Backend(f"{objects.name_of(service)}:{port['port']}")
            stack.callback(backend.stop)
            at = backend.port
            if port.get("appProtocol") == "kubernetes.io/h2c":
                at = h2c_bridge(envoy, folder, backend, stack)
            self.objects.append(objects.slice_of(service, port, [("127.0.0.1", at)]))

    def play(self, case):
        tries = SHARED_TRIES if len(case.get("to") or []) > 1 else 1
        port = self.front.ports[port_of(case["url"])]
        answers = []
        for _ in range(tries):
            try:
                answers.append(send(case["url"], port, case.get("method", "GET"), list(header_pairs(case))))
            except OSError:
                # No listener, or none with that certificate: the API has no answer for it. A table says 404.
                answers.append(None)
        if None in answers:
            return None if case.get("status") == 404 else "the connection is refused"
        return problem_of(case, answers)


def port_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def play_file(kvasir, envoy, folder, path):
    """(how many, problems, differences that are known)."""
    problems, differences = [], []
    with ExitStack() as stack:
        scene = Scene(kvasir, envoy, folder, path, stack)
        for case in scene.cases:
            line = f"{case.get('method', 'GET')} {case['url']}"
            problem = scene.play(case)
            why = known(path.stem, line)
            if why and problem:
                differences.append(f"{line}: {why}")
            elif why:
                problems.append(f"{line}: works, and is listed as a difference")
            elif problem:
                problems.append(f"{line} {case.get('headers') or ''}: {problem}")
        return len(scene.cases), problems, differences
