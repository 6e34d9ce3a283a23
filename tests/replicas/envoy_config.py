"""Envoy's configuration for several pickers, as a dictionary: what docs/REPLICAS.md recommends, or without its help."""

DESTINATION = "x-gateway-destination-endpoint"
FILTERS = "type.googleapis.com/envoy.extensions.filters"
BREAKERS = {"thresholds": [{"max_connections": 40000, "max_pending_requests": 40000, "max_requests": 40000}]}

# A picker that cannot be reached, or loses the stream before it answered: ask another one.
RETRY_POLICY = {
    "retry_on": "connect-failure,refused-stream,reset,unavailable,cancelled",
    "num_retries": 3,
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
}
# And do not ask that one again for a while; health checks take six seconds to find out.
OUTLIER_DETECTION = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 1,
    "enforcing_consecutive_local_origin_failure": 100,
    "consecutive_gateway_failure": 3,
    "enforcing_consecutive_gateway_failure": 100,
    "interval": "1s",
    "base_ejection_time": "5s",
    "max_ejection_percent": 50,
}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def picker_filter(helped):
    service = {"envoy_grpc": {"cluster_name": "picker"}, "timeout": "86400s"}
    if helped:
        service["retry_policy"] = RETRY_POLICY
    return {"name": "envoy.filters.http.ext_proc", "typed_config": {
        "@type": f"{FILTERS}.http.ext_proc.v3.ExternalProcessor",
        "failure_mode_allow": False, "message_timeout": "1000s", "grpc_service": service,
        "processing_mode": {
            "request_header_mode": "SEND", "response_header_mode": "SEND",
            "request_body_mode": "FULL_DUPLEX_STREAMED", "response_body_mode": "FULL_DUPLEX_STREAMED",
            "request_trailer_mode": "SEND", "response_trailer_mode": "SEND"}}}


def listener(port, helped):
    router = {"name": "envoy.filters.http.router",
              "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "endpoints", "timeout": "86400s"}}
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "front",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [picker_filter(helped), router]}
    return {"name": "front", "address": address(port), "filter_chains": [{"filters": [
        {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}


def picker_cluster(ports, helped):
    cluster = {
        "name": "picker", "type": "STATIC", "connect_timeout": "1s", "circuit_breakers": BREAKERS,
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {
                "initial_stream_window_size": 4 << 20, "initial_connection_window_size": 64 << 20}}}},
        "health_checks": [{"timeout": "2s", "interval": "2s", "unhealthy_threshold": 3, "healthy_threshold": 2,
                           "grpc_health_check": {"service_name": "envoy.service.ext_proc.v3.ExternalProcessor"}}],
        "load_assignment": {"cluster_name": "picker", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(port)}} for port in ports]}]}}
    return cluster | {"outlier_detection": OUTLIER_DETECTION} if helped else cluster


def configuration(port, admin_port, picker_ports, helped):
    endpoints = {"name": "endpoints", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED",
                 "connect_timeout": "5s", "circuit_breakers": BREAKERS,
                 "original_dst_lb_config": {"use_http_header": True, "http_header_name": DESTINATION}}
    return {"admin": {"address": address(admin_port)}, "static_resources": {
        "listeners": [listener(port, helped)], "clusters": [endpoints, picker_cluster(picker_ports, helped)]}}
