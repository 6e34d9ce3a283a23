#include "apps/kv_transfer_flags.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "net/io/flag_address.h"
#include "transfer/lmcache/redis_url.h"
#include "wire/json/json_cursor.h"
#include "wire/json/json_edit.h"

namespace kvasir {
namespace {

constexpr std::string_view kTransferFlag = "--kv-transfer-config";
constexpr std::string_view kHostVariable = "VLLM_NIXL_SIDE_CHANNEL_HOST";
constexpr std::string_view kPortVariable = "VLLM_NIXL_SIDE_CHANNEL_PORT";
constexpr std::string_view kRemoteUrlVariable = "LMCACHE_REMOTE_URL";
constexpr std::string_view kAbortVariable = "VLLM_NIXL_ABORT_REQUEST_TIMEOUT";

// Whether a variable is meant for what moves the blocks of that connector.
bool concerns_transfer(std::string_view name, KvTransferKind kind) {
  switch (kind) {
    case KvTransferKind::kNixl:
      return name.starts_with("VLLM_NIXL_") || name.starts_with("UCX_") ||
             name.starts_with("NIXL_");
    case KvTransferKind::kP2p:
      return name.starts_with("NCCL_");
    case KvTransferKind::kLmcache:
      return name.starts_with("LMCACHE_");
    case KvTransferKind::kFs:
      break;
  }
  return false;
}

Result<void> read_transfer_variable(std::string_view name, std::string_view value,
                                    KvTransferConfig& config) {
  if (name == kHostVariable) {
    config.side_channel_host = value;
  } else if (name == kPortVariable) {
    const std::optional<uint16_t> port = parse_port(value);
    if (!port) {
      return Error{std::string(name) + ": '" + std::string(value) + "' is not a port"};
    }
    config.side_channel_port = *port;
  } else if (name == kRemoteUrlVariable) {
    if (config.remote_url.empty()) config.remote_url = value;
  } else if (name == kAbortVariable) {
    config.without_effect.push_back(std::string(name) +
                                    ": a lease takes its place (kv_lease_duration)");
  } else {
    config.without_effect.push_back(std::string(name) + ": nothing here reads it");
  }
  return {};
}

// Of vLLM 0.32.0 (kv_connector/factory.py), in quotes.
constexpr std::string_view kUnsimulated[] = {
    R"("DecodeBenchConnector")",   R"("ExampleHiddenStatesConnector")",
    R"("FlexKVConnectorV1")",      R"("HF3FSKVConnector")",
    R"("HiSparseConnector")",      R"("LMCacheMPConnector")",
    R"("MoRIIOConnector")",        R"("MooncakeConnector")",
    R"("MooncakeStoreConnector")", R"("NixlPushConnector")",
    R"("OffloadingConnector")",    R"("SimpleCPUOffloadConnector")"};
constexpr std::string_view kMulti = R"("MultiConnector")";
constexpr std::string_view kLmcache = R"("LMCacheConnectorV1")";

// A member of an object, as it is written; empty: there is none.
std::string_view member_of(std::string_view object, std::string_view key) {
  const std::string_view keys[] = {key};
  const Result<JsonEditor> read = JsonEditor::read(object, keys);
  return read ? read->find(key).value_or("") : std::string_view();
}

// Why nobody simulates it; empty: somebody does, or it is unknown.
std::string why_unsimulated(std::string_view config) {
  const std::string_view connector = member_of(config, "kv_connector");
  if (std::find(std::begin(kUnsimulated), std::end(kUnsimulated), connector) !=
      std::end(kUnsimulated)) {
    return std::string(connector) + " is not simulated";
  }
  const std::string_view url =
      member_of(member_of(config, "kv_connector_extra_config"), "remote_url");
  const bool has_url =
      !url.empty() || std::getenv(std::string(kRemoteUrlVariable).c_str()) != nullptr;
  if (connector != kLmcache || has_url) return {};
  return std::string(connector) +
         " without remote_url keeps KV in the host's memory, which is simulated by "
         "--kv-offloading-size";
}

}  // namespace

std::string take_out_unsimulated(KvTransferFlags& flags) {
  const std::string config = flags.kv_transfer_config;
  constexpr std::string_view kNothing = ": no KV travels";
  if (member_of(config, "kv_connector") != kMulti) {
    std::string why = why_unsimulated(config);
    if (why.empty()) return {};
    flags.kv_transfer_config.clear();
    return why.append(kNothing);
  }
  const std::string_view extra = member_of(config, "kv_connector_extra_config");
  const std::string_view list = member_of(extra, "connectors");
  if (!list.starts_with('[')) return {};
  flags.kv_transfer_config.clear();
  for (JsonElements each(list); each.next();) {
    const bool is_simulated =
        why_unsimulated(each.value()).empty() && parse_kv_transfer_config(each.value()).ok();
    if (!is_simulated) continue;
    flags.kv_transfer_config = std::string(each.value());
    return "of MultiConnector only " + std::string(member_of(each.value(), "kv_connector")) +
           " is simulated";
  }
  return "MultiConnector has no connector that is simulated" + std::string(kNothing);
}

Result<std::optional<KvTransferConfig>> kv_transfer_options(const KvTransferFlags& flags,
                                                            uint32_t rank) {
  if (flags.kv_transfer_config.empty()) return std::optional<KvTransferConfig>();
  Result<KvTransferConfig> config = parse_kv_transfer_config(flags.kv_transfer_config);
  if (!config) return Error{std::string(kTransferFlag) + ": " + config.error().message};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals + 1 == text.size()) continue;
    const std::string_view name = text.substr(0, equals);
    if (!concerns_transfer(name, config->kind)) continue;
    const Result<void> read = read_transfer_variable(name, text.substr(equals + 1), *config);
    if (!read) return read.error();
  }
  const uint32_t port = config->side_channel_port + rank;
  if (port > UINT16_MAX) {
    return Error{std::string(kPortVariable) + ": " + std::to_string(config->side_channel_port) +
                 " and the rank " + std::to_string(rank) + " together are no port"};
  }
  config->side_channel_port = static_cast<uint16_t>(port);
  return std::optional<KvTransferConfig>(std::move(*config));
}

std::string describe(const KvTransferConfig& config) {
  std::string text = "KV transfer by " + config.connector;
  switch (config.kind) {
    case KvTransferKind::kNixl: {
      const bool shm = config.transport == KvTransferConfig::Transport::kShm;
      const HostPort address{config.side_channel_host, config.side_channel_port};
      text.append(": NIXL side channel at ").append(to_string(address));
      text.append(shm ? ", blocks through shared memory" : ", blocks over TCP");
      break;
    }
    case KvTransferKind::kP2p:
      text.append(" at ").append(to_string(HostPort{config.kv_ip, config.kv_port}));
      break;
    case KvTransferKind::kFs:
      text.append(" in ").append(config.shared_storage_path);
      text.append(config.fs_safe ? ", in our own layout" : ", in vLLM's layout");
      break;
    case KvTransferKind::kLmcache:
      if (const Result<RedisUrl> url = parse_redis_url(config.remote_url)) {
        text.append(" in the Redis at ").append(url->public_text());  // without the password
      }
      break;
  }
  if (config.compress) text.append(", compressed to int8");
  if (config.pipelining) text.append(", pipelined");
  return text;
}

std::string kv_transfer_warning(const KvTransferConfig& config) {
  const bool nixl = config.kind == KvTransferKind::kNixl;
  if (!nixl && config.kind != KvTransferKind::kP2p) return {};
  const HostPort at = nixl ? HostPort{config.side_channel_host, config.side_channel_port}
                           : HostPort{config.kv_ip, config.kv_port};
  if (is_loopback(at.host)) return {};
  return "without authentication, workers at " + to_string(at) +
         " exchange the KV blocks of prompts: let only workers reach it (a NetworkPolicy, a "
         "firewall)";
}

Result<uint32_t> kv_bytes_scale(const KvTransferFlags& flags) {
  const bool travels = !flags.kv_transfer_config.empty();
  const uint32_t scale = flags.kv_bytes.value_or(travels ? kKvScale : 0);
  if (travels && scale == 0) {
    return Error{"--kv-bytes 0: " + std::string(kTransferFlag) + " moves the bytes of blocks"};
  }
  return scale;
}

}  // namespace kvasir
