// The plugin types there are, by name, and how to make each from its parameters. Filled by the rosters at start-up,
// read-only afterwards.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/value.h"
#include "scheduling/plugin.h"
#include "scheduling/producers.h"
#include "timing/engine_profile.h"

namespace kvasir {

enum class Stability { kStable, kAlpha, kDeprecated };

// What a plugin may ask for while it is made. Producers that are asked for and not configured are made with their
// defaults.
class PluginContext {
 public:
  virtual ~PluginContext() = default;
  virtual size_t endpoints() const = 0;  // of the fleet, at most
  virtual uint64_t seed() const = 0;
  virtual const EngineProfile& profile() const = 0;
  // The producer of that name, or with an empty name the only one of its kind. Never null.
  virtual Result<PrefixMatches*> prefix_matches(std::string_view name) = 0;
  virtual Result<InflightLoads*> inflight_loads(std::string_view name) = 0;
  virtual Result<SessionIds*> session_ids(std::string_view name) = 0;
  // The place of a scheduling profile in the configuration.
  virtual Result<int> profile_index(std::string_view name) = 0;
};

struct PluginType {
  std::string name;
  Stability stability = Stability::kStable;
  std::string replaced_by;  // of a deprecated type
  std::function<Result<std::unique_ptr<Plugin>>(std::string_view name, const Value& parameters,
                                                PluginContext& context)>
      make;
};

class Registry {
 public:
  // Precondition: the name is new.
  void add(PluginType type);
  const PluginType* find(std::string_view name) const;
  std::vector<std::string_view> names() const;

 private:
  std::map<std::string, PluginType, std::less<>> types_;
};

}  // namespace kvasir
