// An endpoint: an address that can serve inference requests.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace kvasir {

// The endpoint's place in its fleet: 0, 1, 2, ... Stable while the process lives.
enum class EndpointId : uint32_t {};

constexpr uint32_t index_of(EndpointId id) { return static_cast<uint32_t>(id); }

struct Endpoint {
  std::string name;  // unique in the fleet; HOST:PORT unless configured otherwise
  std::string host;
  uint16_t port = 0;
  std::map<std::string, std::string> labels = {};

  const std::string* label(const std::string& key) const {
    const auto found = labels.find(key);
    return found == labels.end() ? nullptr : &found->second;
  }
};

}  // namespace kvasir
