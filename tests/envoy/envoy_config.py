"""Envoy's configuration as a dictionary: one listener, a picker asked by ext_proc, and the endpoints that it names.

Two ways to follow the picker: ORIGINAL_DST connects to the address in a header; override_host looks the address up
among the cluster's known endpoints, tries those after it when a route retries, and has a fallback policy.
"""
from dataclasses import dataclass

DESTINATION = "x-gateway-destination-endpoint"
HTTP = "type.googleapis.com/envoy.extensions.filters.http"
POLICIES = "type.googleapis.com/envoy.extensions.load_balancing_policies"
BREAKERS = {"thresholds": [{"max_connections": 40000, "max_pending_requests": 40000, "max_requests": 40000}]}

# x-test-subset: HOST:PORT,... becomes the hint that a gateway gives its picker.
SUBSET_SCRIPT = """
function envoy_on_request(handle)
  local header = handle:headers():get("x-test-subset")
  if header == nil then return end
  local list = {}
  for entry in string.gmatch(header, "[^,]+") do list[#list + 1] = entry end
  handle:streamInfo():dynamicMetadata():set("envoy.lb.subset_hint", "x-gateway-destination-endpoint-subset", list)
end
"""


@dataclass
class Shape:
    """What differs between the Envoys of the tests."""
    policy: str = "original_dst"  # or override_host
    endpoints: tuple = ()  # (host, port), ...: override_host must know them
    request_headers: str = "SEND"
    response_headers: str = "SEND"
    request_body: str = "FULL_DUPLEX_STREAMED"
    response_body: str = "FULL_DUPLEX_STREAMED"
    body_ahead: bool = False  # STREAMED: the body comes although the picker has not answered the headers
    buffer_filter: bool = False  # holds the headers until the body is there
    fail_open: bool = False
    retries: int = 0
    tls: bool = False  # to the picker, whose certificate is not checked
    second_chance: bool = False  # a picker that fails is left out for a while, and another is asked
    picker: bool = True  # False: a plain hop
    watched: bool = True  # the tests' own: subset hints from a header, answers tell where they come from

    def name(self):
        modes = {"FULL_DUPLEX_STREAMED": "duplex"}
        request = modes.get(self.request_body, self.request_body.lower())
        response = modes.get(self.response_body, self.response_body.lower())
        more = {"headers skipped": self.request_headers == "SKIP", "body ahead": self.body_ahead,
                "retries": self.retries > 0, "fail-open": self.fail_open, "tls": self.tls}
        return ", ".join([self.policy, f"{request}/{response}"] + [text for text, true in more.items() if true])


def address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def picker_service(shape):
    service = {"envoy_grpc": {"cluster_name": "picker"}, "timeout": "86400s"}
    if shape.second_chance:
        service["retry_policy"] = {"retry_on": "reset,connect-failure,unavailable", "num_retries": 3,
                                   "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.05s"}}
    return service


def picker_filter(shape):
    trailers = "SEND" if shape.request_body == "FULL_DUPLEX_STREAMED" else "SKIP"
    answer_trailers = "SEND" if shape.response_body == "FULL_DUPLEX_STREAMED" else "SKIP"
    return {"name": "envoy.filters.http.ext_proc", "typed_config": {
        "@type": f"{HTTP}.ext_proc.v3.ExternalProcessor",
        "failure_mode_allow": shape.fail_open,
        "message_timeout": "1000s",
        "send_body_without_waiting_for_header_response": shape.body_ahead,
        "grpc_service": picker_service(shape),
        "processing_mode": {
            "request_header_mode": shape.request_headers, "response_header_mode": shape.response_headers,
            "request_body_mode": shape.request_body, "response_body_mode": shape.response_body,
            "request_trailer_mode": trailers, "response_trailer_mode": answer_trailers},
        "metadata_options": {
            "forwarding_namespaces": {"untyped": ["envoy.lb.subset_hint", "envoy.lb"]},
            "receiving_namespaces": {"untyped": ["envoy.lb"]}}}}


def http_filters(shape):
    lua = {"name": "envoy.filters.http.lua", "typed_config": {
        "@type": f"{HTTP}.lua.v3.Lua", "default_source_code": {"inline_string": SUBSET_SCRIPT}}}
    router = {"name": "envoy.filters.http.router", "typed_config": {
        "@type": f"{HTTP}.router.v3.Router", "suppress_envoy_headers": True}}
    hold = {"name": "envoy.filters.http.buffer", "typed_config": {
        "@type": f"{HTTP}.buffer.v3.Buffer", "max_request_bytes": 64 << 20}}
    asked = [picker_filter(shape)] if shape.picker else []
    return ([lua] if shape.picker and shape.watched else []) + asked + ([hold] if shape.buffer_filter else []) + [router]


def route(shape):
    action = {"cluster": "endpoints", "timeout": "86400s"}
    if shape.retries:
        action["retry_policy"] = {"retry_on": "connect-failure,reset-before-request", "num_retries": shape.retries}
    if not (shape.picker and shape.watched):
        return {"match": {"prefix": "/"}, "route": action}
    # What Envoy did, told to the tests: where the request went, and what the picker had said.
    told = {"x-envoy-served": "%UPSTREAM_REMOTE_ADDRESS%", "x-envoy-picked": f"%DYNAMIC_METADATA(envoy.lb:{DESTINATION})%"}
    return {"match": {"prefix": "/"}, "route": action, "response_headers_to_add": [
        {"header": {"key": key, "value": value}} for key, value in told.items()]}


def listener(shape, port):
    return {"name": "front", "address": address("127.0.0.1", port), "per_connection_buffer_limit_bytes": 32 << 20,
            "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
                         ".HttpConnectionManager",
                "stat_prefix": "front",
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route(shape)]}]},
                "http_filters": http_filters(shape)}}]}]}


def load_assignment(name, endpoints):
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": address(host, port)}} for host, port in endpoints]}]}


def endpoints_cluster(shape):
    cluster = {"name": "endpoints", "connect_timeout": "5s", "circuit_breakers": BREAKERS}
    if shape.picker and shape.policy == "original_dst":
        return cluster | {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "original_dst_lb_config": {
            "use_http_header": True, "http_header_name": DESTINATION}}
    cluster |= {"type": "STATIC", "load_assignment": load_assignment("endpoints", shape.endpoints)}
    if not shape.picker:
        return cluster
    round_robin = {"policies": [{"typed_extension_config": {
        "name": "envoy.load_balancing_policies.round_robin",
        "typed_config": {"@type": f"{POLICIES}.round_robin.v3.RoundRobin"}}}]}
    return cluster | {"load_balancing_policy": {"policies": [{"typed_extension_config": {
        "name": "envoy.load_balancing_policies.override_host",
        "typed_config": {
            "@type": f"{POLICIES}.override_host.v3.OverrideHost",
            "override_host_sources": [
                {"header": DESTINATION}, {"metadata": {"key": "envoy.lb", "path": [{"key": DESTINATION}]}}],
            "fallback_policy": round_robin}}}]}}


def picker_cluster(shape, pickers):
    """`pickers`: ports of this machine, or (host, port)."""
    # The windows: 100k-token bodies stall in smaller ones.
    http2 = {"initial_stream_window_size": 4 << 20, "initial_connection_window_size": 64 << 20}
    cluster = {"name": "picker", "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": BREAKERS,
               "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                   "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                   "explicit_http_config": {"http2_protocol_options": http2}}},
               "health_checks": [{"timeout": "2s", "interval": "2s", "unhealthy_threshold": 3, "healthy_threshold": 2,
                                  "grpc_health_check": {"service_name": "envoy.service.ext_proc.v3.ExternalProcessor"}}],
               "load_assignment": load_assignment(
                   "picker", [picker if isinstance(picker, tuple) else ("127.0.0.1", picker) for picker in pickers])}
    if shape.tls:
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {"alpn_protocols": ["h2"]}}}
    if shape.second_chance:
        cluster["outlier_detection"] = {"consecutive_gateway_failure": 1, "enforcing_consecutive_gateway_failure": 100,
                                        "max_ejection_percent": 50, "base_ejection_time": "30s"}
    return cluster


def configuration(shape, port, admin_port, pickers):
    clusters = [endpoints_cluster(shape)] + ([picker_cluster(shape, pickers)] if shape.picker else [])
    return {"admin": {"address": address("127.0.0.1", admin_port)},
            "static_resources": {"listeners": [listener(shape, port)], "clusters": clusters}}
