#include "wire/replica_sync.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <protozero/pbf_writer.hpp>

#include "wire/protobuf_reader.h"

namespace kvasir {
namespace {

using Limits = ReplicaMessageLimits;

// Fields of ReplicaMessage.
constexpr uint32_t kVersion = 1;
constexpr uint32_t kOrigin = 2;
constexpr uint32_t kSequence = 3;
constexpr uint32_t kEndpoints = 4;
constexpr uint32_t kPlugins = 5;
// Of Plugin.
constexpr uint32_t kName = 1;
constexpr uint32_t kLoads = 2;
constexpr uint32_t kBindings = 3;
// Of Load and of Binding.
constexpr uint32_t kEndpoint = 1;
constexpr uint32_t kRequests = 2;
constexpr uint32_t kTokens = 3;
constexpr uint32_t kSession = 2;
constexpr uint32_t kAge = 3;

// A message that is well-formed protobuf and none of ours. Caught in read_replica_message().
class Refused final : public std::exception {
 public:
  explicit Refused(const char* why) : why_(why) {}
  const char* what() const noexcept override { return why_; }

 private:
  const char* why_;
};

void require(bool holds, const char* why) {
  if (!holds) throw Refused(why);
}

uint64_t number_up_to(ProtobufReader& reader, uint64_t max, const char* why) {
  const uint64_t number = reader.number();
  require(number <= max, why);
  return number;
}

uint32_t place(ProtobufReader& reader) {
  return static_cast<uint32_t>(
      number_up_to(reader, Limits::kEndpoints - 1, "an endpoint that is not listed"));
}

ReplicaLoad read_load(ProtobufReader reader) {
  ReplicaLoad load;
  while (reader.next()) {
    if (reader.field() == kEndpoint) {
      load.endpoint = place(reader);
    } else if (reader.field() == kRequests) {
      load.requests = static_cast<uint32_t>(
          number_up_to(reader, Limits::kRequests, "too many requests in flight"));
    } else if (reader.field() == kTokens) {
      load.tokens = number_up_to(reader, Limits::kTokens, "too many tokens in flight");
    } else {
      reader.skip();
    }
  }
  return load;
}

ReplicaBinding read_binding(ProtobufReader reader) {
  ReplicaBinding binding;
  while (reader.next()) {
    if (reader.field() == kEndpoint) {
      binding.endpoint = place(reader);
    } else if (reader.field() == kSession) {
      binding.session = reader.fixed64();
    } else if (reader.field() == kAge) {
      binding.age_ms = std::min(reader.number(), Limits::kAgeMs);
    } else {
      reader.skip();
    }
  }
  return binding;
}

ReplicaPlugin read_plugin(ProtobufReader reader) {
  ReplicaPlugin plugin;
  while (reader.next()) {
    if (reader.field() == kName) {
      plugin.name = reader.bytes();
      require(plugin.name.size() <= Limits::kPluginNameBytes, "a plugin's name is too long");
    } else if (reader.field() == kLoads) {
      require(plugin.loads.size() < Limits::kEndpoints, "too many loads");
      plugin.loads.push_back(read_load(reader.message()));
    } else if (reader.field() == kBindings) {
      require(plugin.bindings.size() < Limits::kBindings, "too many sessions");
      plugin.bindings.push_back(read_binding(reader.message()));
    } else {
      reader.skip();
    }
  }
  return plugin;
}

// What cannot be told field by field.
void check(const ReplicaMessage& message) {
  require(message.origin != 0, "no origin");
  std::vector<bool> named;
  for (const ReplicaPlugin& plugin : message.plugins) {
    named.assign(message.endpoints.size(), false);
    for (const ReplicaLoad& load : plugin.loads) {
      require(load.endpoint < named.size(), "an endpoint that is not listed");
      require(!named[load.endpoint], "an endpoint's load comes twice");
      named[load.endpoint] = true;
    }
    for (const ReplicaBinding& binding : plugin.bindings) {
      require(binding.endpoint < named.size(), "an endpoint that is not listed");
    }
  }
}

ReplicaMessage read(std::string_view bytes) {
  ReplicaMessage message;
  std::optional<uint32_t> version;
  ProtobufReader reader(bytes);
  while (reader.next()) {
    // Version first: what follows may mean something else in another one.
    require(version.has_value() || reader.field() == kVersion, "no version");
    if (reader.field() == kVersion) {
      version = reader.fixed32();
      require(*version == kReplicaSyncVersion, "another version of the protocol");
    } else if (reader.field() == kOrigin) {
      message.origin = reader.fixed64();
    } else if (reader.field() == kSequence) {
      message.sequence = reader.number();
    } else if (reader.field() == kEndpoints) {
      require(message.endpoints.size() < Limits::kEndpoints, "too many endpoints");
      message.endpoints.emplace_back(reader.bytes());
      require(message.endpoints.back().size() <= Limits::kEndpointNameBytes,
              "an endpoint's name is too long");
    } else if (reader.field() == kPlugins) {
      require(message.plugins.size() < Limits::kPlugins, "too many plugins");
      message.plugins.push_back(read_plugin(reader.message()));
    } else {
      reader.skip();
    }
  }
  check(message);
  return message;
}

void write_plugin(protozero::pbf_writer& parent, const ReplicaPlugin& plugin) {
  protozero::pbf_writer writer(parent, kPlugins);
  writer.add_string(kName, plugin.name);
  for (const ReplicaLoad& load : plugin.loads) {
    protozero::pbf_writer entry(writer, kLoads);
    entry.add_uint32(kEndpoint, load.endpoint);
    entry.add_uint64(kRequests, load.requests);
    entry.add_uint64(kTokens, load.tokens);
  }
  for (const ReplicaBinding& binding : plugin.bindings) {
    protozero::pbf_writer entry(writer, kBindings);
    entry.add_uint32(kEndpoint, binding.endpoint);
    entry.add_fixed64(kSession, binding.session);
    entry.add_uint64(kAge, binding.age_ms);
  }
}

}  // namespace

std::string write_replica_message(const ReplicaMessage& message) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_fixed32(kVersion, kReplicaSyncVersion);
  writer.add_fixed64(kOrigin, message.origin);
  writer.add_uint64(kSequence, message.sequence);
  for (const std::string& endpoint : message.endpoints) writer.add_string(kEndpoints, endpoint);
  for (const ReplicaPlugin& plugin : message.plugins) write_plugin(writer, plugin);
  return bytes;
}

Result<ReplicaMessage> read_replica_message(std::string_view bytes) {
  if (bytes.size() > Limits::kMessageBytes) return Error{"replica message: too large"};
  try {
    return read(bytes);
  } catch (const Refused& refused) {
    return Error{std::string("replica message: ") + refused.what()};
  } catch (const protozero::exception&) {
    return Error{"replica message: not protobuf"};
  }
}

}  // namespace kvasir
