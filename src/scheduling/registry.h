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

#include "base/checked.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/value.h"
#include "fleet/metrics_extractor.h"
#include "scheduling/plugin.h"
#include "scheduling/pool_knowledge.h"
#include "scheduling/producers.h"
#include "timing/engine_profile.h"

namespace kvasir {

class Parameters;

enum class Stability { kStable, kAlpha, kDeprecated };

// What one plugin offers to others is a class of its own, a kind, which both know; it names itself:
//
//   class Urgency : public Producer {
//    public:
//     static constexpr std::string_view kKind = "urgency";
//     virtual double urgency() const = 0;  // of the request in hand
//   };
//
// The plugin derives from it and its type says so (PluginType::offers); others ask for it with
// context.find<Urgency>(name). With a kDefaultType beside kKind a plugin of that type is made when
// none is configured.
struct PluginKind {
  std::string_view name;
  std::string_view default_type;  // empty: whoever is to offer it must be configured
  bool (*is_offered_by)(Plugin& plugin);

  template <class Kind>
  static PluginKind of() {
    PluginKind kind{
        Kind::kKind, {}, [](Plugin& plugin) { return dynamic_cast<Kind*>(&plugin) != nullptr; }};
    if constexpr (requires { Kind::kDefaultType; }) kind.default_type = Kind::kDefaultType;
    return kind;
  }
};

// What a plugin may ask for while it is made.
class PluginContext {
 public:
  virtual ~PluginContext() = default;
  virtual size_t endpoints() const = 0;  // of the fleet, at most
  virtual uint64_t seed() = 0;           // another one at each call
  virtual uint32_t endpoints_per_pick() const = 0;  // of pickers that are not told
  virtual const EngineProfile& profile() const = 0;
  virtual Duration hold_threshold() const = 0;  // the wait that makes an endpoint full
  // The plugin of that name as one of its kind; with an empty name the only one that offers it, or
  // the default one. Never null. The error says who asked, for what, and what there is.
  template <class Kind>
  Result<Kind*> find(std::string_view name) {
    const Result<Plugin*> found = find_offer(name, PluginKind::of<Kind>());
    if (!found) return found.error();
    return dynamic_cast<Kind*>(*found);
  }
  // For Plugin::connect(): the one that is there, whoever asked for it, the default one of several;
  // null when none is.
  template <class Kind>
  Kind* find_made() const {
    return dynamic_cast<Kind*>(find_made_offer(PluginKind::of<Kind>()));
  }
  // Whatever is made reads the prompt in blocks of that size: requests come with that view from now
  // on. Precondition: a block has a unit at least.
  virtual void want_prompt_view(BlockSize block) = 0;
  // The index of prompts in blocks of that size, which plugins share and the pool keeps; wants that
  // view, too. It lives as long as the plugin; see when to use it.
  virtual const SharedPrefixIndex& prefix_index(BlockSize block) = 0;
  // What whoever configures the plugin is told at start, behind its name: what has no effect here.
  virtual void note(std::string_view text) = 0;
  // The place of a scheduling profile in the configuration; -1: there is none of that name.
  virtual int profile_index(std::string_view name) const = 0;
  virtual size_t profiles() const = 0;
  virtual const std::string& profile_name(size_t index) const = 0;

 protected:
  // Of an empty name too, and never null.
  virtual Result<Plugin*> find_offer(std::string_view name, const PluginKind& kind) = 0;
  virtual Plugin* find_made_offer(const PluginKind& kind) const = 0;
};

// Problems without a line are about the plugin as a whole.
using MadePlugin = Checked<std::unique_ptr<Plugin>>;

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
  // The names (kKind) of what other plugins can ask its plugins for. They must outlive the type.
  std::vector<std::string_view> offers = {};
  // Bits of model/plugin_place.h, for whoever reads configurations. 0: the type is one of
  // upstream's, whose places are known (config/plugin_types.h).
  uint32_t places = 0;
  // Whatever parameters it is given are told and not read, as upstream does with this type.
  bool ignores_parameters = false;
  // What whoever configures it is told at start, behind its name: that it has no effect here, and
  // why, or less than its name says.
  std::string note = {};
};

// A page that is read from every endpoint again and again. Its parameters `path`, `port`,
// `interval`, `timeout` and `ttl` are read with the configuration; these are the defaults.
struct DataSourceType {
  std::string name;
  std::string path = "/metrics";
  uint16_t port = 0;  // 0: the endpoint's own
};

// What reads numbers from such a page.
struct ExtractorType {
  // Null when it told a problem of the parameters (Parameters::fail()).
  using Make = std::function<std::unique_ptr<MetricsExtractor>(Parameters& parameters)>;
  std::string name;
  Make make;
};

class Registry {
 public:
  // Precondition of all: the name is new.
  void add(PluginType type);
  void add(DataSourceType type);
  void add(ExtractorType type);
  const PluginType* find(std::string_view name) const;
  const DataSourceType* find_data_source(std::string_view name) const;
  const ExtractorType* find_extractor(std::string_view name) const;
  // Whether there is anything of that name.
  bool knows(std::string_view name) const;
  std::vector<std::string_view> names() const;
  // Of data sources and extractors.
  std::vector<std::string_view> data_layer_names() const;
  // The name that `name` was most likely meant to be; empty when none is near.
  std::string_view nearest(std::string_view name) const;

 private:
  std::map<std::string, PluginType, std::less<>> types_;
  std::map<std::string, DataSourceType, std::less<>> data_sources_;
  std::map<std::string, ExtractorType, std::less<>> extractors_;
};

}  // namespace kvasir
