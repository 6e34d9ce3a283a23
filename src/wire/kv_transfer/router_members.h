// The members of a request by which routers tell workers where KV is, and which a client may not
// set: a worker would fetch KV from whom a client names, and answer with another request's.
#pragma once

#include <string_view>

namespace kvasir {

inline constexpr std::string_view kOfRouters[] = {
    "kv_transfer_params", "ec_transfer_params", "bootstrap_host",    "bootstrap_port",
    "bootstrap_room",     "do_remote_decode",   "do_remote_prefill", "remote_block_ids",
    "remote_engine_id",   "remote_host",        "remote_port"};

// The header fields by which routers tell sidecars where legs go. Who sends the legs itself passes
// none of them on.
inline constexpr std::string_view kSidecarFields[] = {
    "x-prefiller-host-port", "x-prefiller-url", "x-encoder-hosts-ports",
    "x-data-parallel-host-port", "x-kv-cache-source-host-port"};

// Whether a member of that name is one of them, or an object that may hold some (vllm_xargs, which
// vLLM hands to its engine). Cheap for any other name.
bool may_name_workers(std::string_view key);

// Of a body that no reader here understands, but an engine may (UTF-16): whether such a name could
// stand in it.
bool may_hide_workers(std::string_view body);

}  // namespace kvasir
