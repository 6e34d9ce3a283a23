// Makes the plugins of a SchedulingConfig, each when it is first asked for: so a plugin may name
// one that stands after it in the file, and whatever a producer reads is produced before it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/random.h"
#include "base/remark.h"
#include "base/result.h"
#include "model/scheduling_config.h"
#include "scheduling/decision_trace.h"
#include "scheduling/plugin_set.h"
#include "scheduling/registry.h"

namespace kvasir {

class PluginMaker final : public PluginContext {
 public:
  // All must outlive it.
  PluginMaker(const Registry& registry, const SchedulingConfig& config,
              const PluginOptions& options);

  // Makes all that are configured; whether there is no problem.
  bool make_all();
  // The same for a configuration whose reader has told already of unknown types and of names that
  // two plugins have: these are no problems.
  void make_all_beside_names();
  // All that could not be made, and what tell() was told. What fails only because a plugin that it
  // needs has failed is not told.
  const std::vector<Remark>& problems() const { return problems_; }
  void tell(int line, std::string problem) { problems_.push_back({line, std::move(problem)}); }
  // Calls connect() of all.
  void connect_all();

  // The plugin of that name, made if need be; null: none is configured, or it cannot be made.
  Plugin* find(std::string_view name);
  using PluginContext::find;  // of a kind
  // A plugin of that type with no parameters, which nobody configured: an experimental one needs no
  // leave. Null: it cannot be made.
  Plugin* add(std::string_view type);
  // Names of the plugins in the configuration's order, then of those that were added.
  std::vector<std::string_view> names() const;

  std::vector<std::unique_ptr<Plugin>> take_plugins();
  // Names and types in the order of names(), and a plugin's place there.
  std::vector<PluginLabel> labels() const;
  uint16_t label_of(const Plugin* plugin) const;
  std::vector<std::string> take_notes() { return std::move(notes_); }
  // What plugins asked for. The error: too many.
  Result<BlockSizes> prompt_views() const;
  std::vector<std::unique_ptr<SharedPrefixIndex>> take_indexes() { return std::move(indexes_); }

  size_t endpoints() const override { return options_.endpoints; }
  uint64_t seed() override { return seeds_.next(); }
  uint32_t endpoints_per_pick() const override { return options_.endpoints_per_pick; }
  const EngineProfile& profile() const override { return options_.profile; }
  Duration hold_threshold() const override { return options_.hold_threshold; }
  void want_prompt_view(BlockSize block) override;
  const SharedPrefixIndex& prefix_index(BlockSize block) override;
  void note(std::string_view text) override;
  int profile_index(std::string_view name) const override;
  size_t profiles() const override { return config_.profiles.size(); }
  const std::string& profile_name(size_t index) const override {
    return config_.profiles[index].name;
  }

 private:
  enum class State { kWaiting, kBeingMade, kMade, kFailed };
  struct Slot {
    PluginConfig config;  // its name is never empty
    State state = State::kWaiting;
    Plugin* plugin = nullptr;
  };

  Slot* slot_of(std::string_view name);
  Plugin* make(Slot& slot);  // null: it cannot be made
  Checked<Plugin*> make_new(Slot& slot);
  void note(const PluginConfig& plugin, const std::string& text);
  Result<Plugin*> find_offer(std::string_view name, const PluginKind& kind) override;
  Plugin* find_made_offer(const PluginKind& kind) const override;
  // Those whose type says that it offers the kind, but who asks: the first of its default type,
  // else all.
  std::vector<Slot*> offering(const PluginKind& kind);
  // What to tell whoever asked in vain.
  Error not_found(const PluginKind& kind, std::string problem);

  const Registry& registry_;
  const SchedulingConfig& config_;
  const PluginOptions& options_;
  Random seeds_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<Plugin>> made_;  // in the order they were finished
  std::vector<std::string> notes_;
  BlockSizes prompt_views_;
  bool too_many_views_ = false;
  std::vector<std::unique_ptr<SharedPrefixIndex>> indexes_;  // one for each block size
  const Slot* asking_ = nullptr;                             // whose plugin is being made
  std::vector<Remark> problems_;
  size_t failures_ = 0;   // times that somebody asked for a plugin that cannot be made
};

}  // namespace kvasir
