// The plugin types there are, by name, and how to make each from its parameters. Filled by the
// rosters at start-up, read-only afterwards.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/value.h"
#include "scheduling/plugin.h"
#include "scheduling/pool_knowledge.h"
#include "scheduling/producers.h"
#include "timing/engine_profile.h"

namespace kvasir {

enum class Stability { kStable, kAlpha, kDeprecated };

// What a plugin may ask for while it is made. Producers that are asked for and not configured are
// made with their defaults.
class PluginContext {
 public:
  virtual ~PluginContext() = default;
  virtual size_t endpoints() const = 0;  // of the fleet, at most
  virtual uint64_t seed() = 0;           // another one at each call
  virtual uint32_t endpoints_per_pick() const = 0;  // of pickers that are not told
  virtual const EngineProfile& profile() const = 0;
  virtual Duration hold_threshold() const = 0;  // the wait that makes an endpoint full
  // The producer of that name, or with an empty name the only one of its kind. Never null.
  virtual Result<PrefixMatches*> prefix_matches(std::string_view name) = 0;
  virtual Result<InflightLoads*> inflight_loads(std::string_view name) = 0;
  virtual Result<SessionIds*> session_ids(std::string_view name) = 0;
  virtual Result<TopologyLabels*> topology(std::string_view name) = 0;
  // The plugin of that name; with an empty name, null.
  virtual Result<StageDecider*> stage_decider(std::string_view name) = 0;
  // Whatever is made reads the prompt in blocks of that size: requests come with that view from now
  // on. Precondition: a block has a unit at least.
  virtual void want_prompt_view(BlockSize block) = 0;
  // The index of prompts in blocks of that size, which plugins share and the pool keeps; wants that
  // view, too. It lives as long as the plugin; see when to use it.
  virtual const SharedPrefixIndex& prefix_index(BlockSize block) = 0;
  // The place of a scheduling profile in the configuration; -1: there is none of that name.
  virtual int profile_index(std::string_view name) const = 0;
  virtual size_t profiles() const = 0;
  virtual const std::string& profile_name(size_t index) const = 0;

  // For Plugin::connect(): the producer when one is there, whoever asked for it; null when none is.
  virtual PrefixMatches* any_prefix_matches() const = 0;
};

// What other plugins can ask a producer for.
enum class Produces { kNothing, kPrefixMatches, kInflightLoads, kSessionIds, kTopology };

using MadePlugin = Result<std::unique_ptr<Plugin>>;

template <class Kind, class... Arguments>
MadePlugin make_plugin(Arguments&&... arguments) {
  return std::unique_ptr<Plugin>(std::make_unique<Kind>(std::forward<Arguments>(arguments)...));
}

struct PluginType {
  // `name`: of the plugin, for errors.
  using Make = std::function<MadePlugin(std::string_view name, const Value& parameters,
                                        PluginContext& context)>;

  std::string name;
  Make make;
  Stability stability = Stability::kStable;
  std::string replaced_by = {};  // of a deprecated type; may be empty
  Produces produces = Produces::kNothing;
  // Bits of model/plugin_place.h, for whoever reads configurations. 0: the type is one of
  // upstream's, whose places are known (config/plugin_types.h).
  uint32_t places = 0;
  // Whatever parameters it is given are told and not read, as upstream does with this type.
  bool ignores_parameters = false;
  // What whoever configures it is told at start, behind its name: that it has no effect here, and
  // why, or less than its name says.
  std::string note = {};
};

class Registry {
 public:
  // Precondition: the name is new.
  void add(PluginType type);
  const PluginType* find(std::string_view name) const;
  std::vector<std::string_view> names() const;
  // The name that `name` was most likely meant to be; empty when none is near.
  std::string_view nearest(std::string_view name) const;

 private:
  std::map<std::string, PluginType, std::less<>> types_;
};

}  // namespace kvasir
