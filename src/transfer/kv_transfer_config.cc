#include "transfer/kv_transfer_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/nearest_name.h"
#include "base/parameters.h"
#include "net/io/flag_address.h"
#include "wire/json/json_value.h"

namespace kvasir {
namespace {

constexpr size_t kBytesMost = 1 << 20;
constexpr size_t kValuesMost = 10'000;
constexpr double kSecondsMost = 366.0 * 24 * 3600;

// Which connectors read a member.
constexpr uint8_t bit(KvTransferKind kind) {
  return static_cast<uint8_t>(1u << static_cast<unsigned>(kind));
}
constexpr uint8_t kNixlBit = bit(KvTransferKind::kNixl);
constexpr uint8_t kP2pBit = bit(KvTransferKind::kP2p);
constexpr uint8_t kFsBit = bit(KvTransferKind::kFs);
constexpr uint8_t kLmcacheBit = bit(KvTransferKind::kLmcache);
constexpr uint8_t kAll = kNixlBit | kP2pBit | kFsBit | kLmcacheBit;

struct Connector {
  std::string_view name;
  KvTransferKind kind;
};
constexpr std::array<Connector, 6> kConnectors = {{
    {"NixlConnector", KvTransferKind::kNixl},
    {"NixlPullConnector", KvTransferKind::kNixl},
    {"P2pNcclConnector", KvTransferKind::kP2p},
    {"ExampleConnector", KvTransferKind::kFs},
    {"SharedStorageConnector", KvTransferKind::kFs},
    {"LMCacheConnectorV1", KvTransferKind::kLmcache},
}};

struct Member {
  std::string_view name;
  uint8_t read_by;
  // Why nothing reads it, or what to set instead.
  std::string_view why = {};
};

constexpr std::string_view kOldRanks = "workers find each other by address, without ranks";
constexpr std::string_view kNoGpu = "the simulated KV cache lies in the host's memory";
constexpr std::string_view kNoBackends = "the bytes go over TCP or shared memory ('transport')";
constexpr std::string_view kNoWayBack = "blocks go from the prefiller to the decoder only";

constexpr std::array<Member, 13> kMembers = {{
    {"kv_connector", kAll},
    {"kv_role", kAll},
    {"kv_load_failure_policy", kAll},
    {"kv_connector_extra_config", kAll},
    {"kv_connector_module_path", kAll},
    {"engine_id", kNixlBit, "only NixlConnector tells its peers an engine id"},
    {"kv_ip", kP2pBit, "only P2pNcclConnector listens there"},
    {"kv_port", kP2pBit, "only P2pNcclConnector listens there"},
    {"kv_buffer_size", kP2pBit, "only P2pNcclConnector has such a buffer"},
    {"kv_rank", 0, kOldRanks},
    {"kv_parallel_size", 0, kOldRanks},
    {"kv_buffer_device", 0, kNoGpu},
    {"enable_permute_local_kv", 0, "the simulated KV cache has one layout"},
}};

// Of kv_connector_extra_config.
constexpr std::array<Member, 32> kExtraMembers = {{
    {"link_gb_per_s", kAll},
    {"link_latency_ms", kAll},
    {"compression", kAll},
    {"compressionEnabled", kAll},
    {"pipelining", kAll},
    {"transport", kNixlBit},
    {"kv_lease_duration", kNixlBit},
    {"enforce_handshake_compat", kNixlBit},
    {"sideChannelPortRange", kNixlBit},
    {"rdmaEnabled", 0, kNoBackends},
    {"backends", 0, kNoBackends},
    {"num_threads", 0, "a thread of its own moves the bytes"},
    {"engine_ttl", 0, "a peer is forgotten with its connection"},
    {"bidirectional_kv_xfer", 0, kNoWayBack},
    {"decoder_kv_blocks_ttl", 0, kNoWayBack},
    {"kv_recompute_threshold", 0, kNoWayBack},
    {"push_registration_timeout", 0, "the decoder reads ('pull'), the prefiller never pushes"},
    {"proxy_ip", kP2pBit},
    {"proxy_port", kP2pBit},
    {"http_ip", 0, "a worker registers under kv_ip"},
    {"http_port", kP2pBit},
    {"send_type", kP2pBit},
    {"addresses", kP2pBit},
    {"mem_pool_size_gb", 0, kNoGpu},
    {"nccl_num_channels", 0, "the bytes go over TCP"},
    {"shared_storage_path", kFsBit},
    {"layout", kFsBit},
    {"max_bytes", kFsBit},
    {"ttl_seconds", kFsBit | kLmcacheBit},
    {"remote_url", kLmcacheBit},
    {"use_native", 0, "there is one implementation"},
    {"discard_partial_chunks", 0, "blocks are stored when they are full"},
}};

template <size_t kSize>
const Member* find_known(const std::array<Member, kSize>& members, std::string_view name) {
  for (const Member& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

template <size_t kSize>
std::vector<std::string_view> names_of(const std::array<Member, kSize>& members) {
  std::vector<std::string_view> names;
  for (const Member& member : members) names.push_back(member.name);
  return names;
}

std::string connector_names() {
  std::string names;
  for (const Connector& connector : kConnectors) {
    names.append(names.empty() ? "" : ", ").append(connector.name);
  }
  return names;
}

// A number, or a text of one: guides write "kv_port":"21001" and "kv_buffer_size":"8e9".
std::optional<double> number_in(const Value& value) {
  const std::string* text = value.text();
  if (text == nullptr) return value.number();
  double number = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (failure != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return number;
}

uint64_t whole(Parameters& members, std::string_view key, uint64_t fallback, double least,
               double most) {
  const Value* value = members.any(key);
  if (value == nullptr || value->is_null()) return fallback;
  const std::optional<double> number = number_in(*value);
  if (number && std::trunc(*number) == *number && *number >= least && *number <= most) {
    return static_cast<uint64_t>(*number);
  }
  members.fail(key, "is not a whole number from " + std::to_string(static_cast<int64_t>(least)) +
                        " to " + std::to_string(static_cast<int64_t>(most)));
  return fallback;
}

uint16_t port(Parameters& members, std::string_view key, uint16_t fallback) {
  return static_cast<uint16_t>(whole(members, key, fallback, 1, 65535));
}

Duration span(Parameters& members, std::string_view key, double unit_s, Duration fallback) {
  const double units = members.number(key, to_seconds(fallback) / unit_s, 0, kSecondsMost / unit_s);
  return from_seconds(units * unit_s);
}

// "5555-5556", "5555" or 5555: the first of them.
uint16_t first_port(Parameters& members, std::string_view key, KvTransferConfig& config) {
  const Value* value = members.any(key);
  const std::string* range = value == nullptr ? nullptr : value->text();
  if (range == nullptr) return port(members, key, config.side_channel_port);
  const char* const end = range->data() + range->size();
  uint16_t first = 0;
  uint16_t last = 0;
  auto read = std::from_chars(range->data(), end, first);
  last = first;
  if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-') {
    read = std::from_chars(read.ptr + 1, end, last);
  }
  if (read.ec != std::errc() || read.ptr != end || first == 0 || last < first) {
    members.fail(key, "is not a range of ports, such as 5555-5556");
    return config.side_channel_port;
  }
  if (last > first) {
    config.without_effect.push_back(
        "sideChannelPortRange: a worker has one side channel, on port " + std::to_string(first) +
        "; the other ports are not used");
  }
  return first;
}

bool is_off(const Value& value) {
  return value.is_null() || (value.boolean() != nullptr && !*value.boolean());
}

void note_unread(const Member& member, const Value& value, KvTransferConfig& config) {
  if (is_off(value)) return;
  const std::string* text = value.text();
  if (member.name == "kv_buffer_device" && text != nullptr && *text == "cpu") return;
  std::string sentence(member.name);
  sentence.append(": ");
  if (!member.why.empty()) {
    sentence.append(member.why);
  } else {
    sentence.append(config.connector).append(" does not read it");
  }
  config.without_effect.push_back(std::move(sentence));
}

// Reads one configuration, whose connector is known by then.
class ConfigReader {
 public:
  ConfigReader(const Value& root, const Value& extra, KvTransferConfig& config)
      : root_(root),
        top_(root, "kv_transfer_config", "member"),
        extra_(extra, "kv_connector_extra_config", "member"),
        extra_value_(extra),
        config_(config) {}

  std::vector<Remark> read() {
    read_top();
    read_nixl();
    read_p2p();
    read_storage();
    read_common();
    look_at_others();
    std::vector<Remark> problems = top_.problems();
    append(problems, extra_.problems());
    return problems;
  }

 private:
  void read_top() {
    for (const Member& member : kMembers) top_.ignore(member.name);
    for (const Member& member : kExtraMembers) {
      top_.refuse_former(member.name, "it belongs into kv_connector_extra_config");
    }
    if (!top_.has("kv_role")) {
      top_.fail("kv_role", "is missing: kv_producer, kv_consumer or kv_both");
    }
    config_.role = top_.choice("kv_role", "kv_both", {"kv_producer", "kv_consumer", "kv_both"});
    // vLLM's default is NixlConnector's: what others do not bring is computed, unless it is said.
    const std::string policy = config_.kind == KvTransferKind::kNixl ? "fail" : "recompute";
    config_.recompute_on_failure =
        top_.choice("kv_load_failure_policy", policy, {"fail", "recompute"}) == "recompute";
    config_.engine_id = optional_text(top_, "engine_id");
    if (!optional_text(top_, "kv_connector_module_path").empty()) {
      top_.fail("kv_connector_module_path", "names a Python module, which cannot be loaded here");
    }
  }

  void read_nixl() {
    using Transport = KvTransferConfig::Transport;
    config_.lease = span(extra_, "kv_lease_duration", 1, config_.lease);
    if (config_.lease <= Duration::zero()) extra_.fail("kv_lease_duration", "must be above 0");
    config_.enforce_handshake_compat = extra_.boolean("enforce_handshake_compat", true);
    const bool shm = extra_.choice("transport", "tcp", {"tcp", "shm"}) == "shm";
    config_.transport = shm ? Transport::kShm : Transport::kTcp;
    if (config_.kind == KvTransferKind::kNixl && extra_.has("sideChannelPortRange")) {
      config_.side_channel_port = first_port(extra_, "sideChannelPortRange", config_);
    }
  }

  void read_p2p() {
    using SendType = KvTransferConfig::SendType;
    const std::string ip = optional_text(top_, "kv_ip");
    if (!ip.empty()) config_.kv_ip = ip;
    config_.kv_port = port(top_, "kv_port", config_.kv_port);
    config_.kv_buffer_bytes = whole(top_, "kv_buffer_size", config_.kv_buffer_bytes, 0, 1e15);
    config_.http_port = port(extra_, "http_port", 0);
    const std::string type = extra_.choice("send_type", "PUT_ASYNC", {"PUT", "PUT_ASYNC", "GET"});
    config_.send_type = type == "PUT"   ? SendType::kPut
                        : type == "GET" ? SendType::kGet
                                        : SendType::kPutAsync;
    read_addresses();
    const std::string proxy = optional_text(extra_, "proxy_ip");
    const uint16_t proxy_port = port(extra_, "proxy_port", 0);
    if (!proxy.empty() && proxy_port != 0) {
      config_.proxy = proxy + ":" + std::to_string(proxy_port);
    } else if (!proxy.empty() || proxy_port != 0) {
      extra_.fail(proxy.empty() ? "proxy_ip" : "proxy_port",
                  "is missing: a worker registers at both together");
    }
  }

  void read_addresses() {
    const Value* addresses = extra_.any("addresses");
    if (addresses == nullptr) return;
    if (addresses->map() == nullptr) {
      return extra_.fail("addresses", "is no map, from HOST:PORT in request ids to HOST:PORT");
    }
    for (const auto& [name, where] : *addresses->map()) {
      const std::string text = where.text() != nullptr ? *where.text() : "";
      Result<HostPort> address = parse_host_port(text);
      if (!address) {
        return extra_.fail("addresses", "has '" + text.substr(0, 64) + "' for '" +
                                            name.substr(0, 64) + "', which is not HOST:PORT");
      }
      config_.addresses[name] = std::move(*address);
    }
  }

  void read_storage() {
    const std::string path = optional_text(extra_, "shared_storage_path");
    if (!path.empty()) config_.shared_storage_path = path;
    config_.fs_safe = extra_.choice("layout", "vllm", {"vllm", "kvasir"}) == "kvasir";
    config_.fs_bytes_max = whole(extra_, "max_bytes", 0, 0, 1e15);
    config_.fs_ttl = span(extra_, "ttl_seconds", 1, {});
    config_.remote_url = optional_text(extra_, "remote_url");
  }

  void read_common() {
    config_.link.gb_per_s = extra_.number("link_gb_per_s", 0, 0, 1e6);
    config_.link.latency = span(extra_, "link_latency_ms", 1e-3, {});
    const bool int8 = extra_.choice("compression", "none", {"none", "int8"}) == "int8";
    config_.compress = extra_.boolean("compressionEnabled", int8);
    if (extra_.has("compression") && config_.compress != int8) {
      extra_.fail("compressionEnabled", "contradicts 'compression'");
    }
    config_.pipelining = extra_.boolean("pipelining", false);
  }

  // What is there and nothing reads: a slip of the pen is refused, anything else is said.
  void look_at_others() {
    const uint8_t reader = bit(config_.kind);
    for (const Member& member : kMembers) {
      const Value* value = root_.find(member.name);
      if (value != nullptr && (member.read_by & reader) == 0) note_unread(member, *value, config_);
    }
    if (extra_value_.map() == nullptr) return;
    for (const auto& [name, value] : *extra_value_.map()) {
      const Member* member = find_known(kExtraMembers, name);
      if (member != nullptr) {
        extra_.ignore(name);
        if ((member->read_by & reader) == 0) note_unread(*member, value, config_);
      } else if (nearest_name(name, names_of(kExtraMembers)).empty()) {
        extra_.ignore(name);
        config_.without_effect.push_back(name.substr(0, 64) + ": nothing here reads it");
      }
    }
  }

  static std::string optional_text(Parameters& members, std::string_view key) {
    const Value* value = members.any(key);
    return value == nullptr || value->is_null() ? std::string() : members.text(key, "");
  }

  const Value& root_;
  Parameters top_;
  Parameters extra_;
  const Value& extra_value_;
  KvTransferConfig& config_;
};

Error unknown_connector(const std::string& name) {
  return Error{"kv_connector: '" + name.substr(0, 64) + "' is not there; there are " +
               connector_names()};
}

}  // namespace

Result<KvTransferConfig> parse_kv_transfer_config(std::string_view json) {
  if (json.size() > kBytesMost) return Error{"longer than 1 MiB"};
  if (!is_json(json)) return Error{"not valid JSON"};
  const auto parsed = parse_json_value(json, kValuesMost);
  if (const Remark* remark = std::get_if<Remark>(&parsed)) return Error{remark->text};
  const Value& root = std::get<Value>(parsed);
  if (root.map() == nullptr) return Error{"not a JSON object, but " + std::string(root.kind())};
  const Value* name = root.find("kv_connector");
  if (name == nullptr || name->text() == nullptr) {
    return Error{"kv_connector is missing: one of " + connector_names()};
  }
  KvTransferConfig config;
  const auto* found = std::find_if(kConnectors.begin(), kConnectors.end(),
                                   [&](const Connector& c) { return c.name == *name->text(); });
  if (found == kConnectors.end()) return unknown_connector(*name->text());
  config.kind = found->kind;
  config.connector = found->name;
  const Value nothing;
  const Value* extra = root.find("kv_connector_extra_config");
  if (extra == nullptr) extra = &nothing;
  if (!extra->is_null() && extra->map() == nullptr) {
    return Error{"kv_connector_extra_config is not an object, but " + std::string(extra->kind())};
  }
  const std::vector<Remark> problems = ConfigReader(root, *extra, config).read();
  if (!problems.empty()) return Error{problems.front().text};
  return config;
}

}  // namespace kvasir
