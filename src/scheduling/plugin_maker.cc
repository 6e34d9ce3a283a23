#include "scheduling/plugin_maker.h"

#include <algorithm>
#include <utility>

namespace kvasir {
namespace {

// So many names stand in an error at most.
constexpr size_t kNamesToldMost = 8;

Remark about(const PluginConfig& plugin, const std::string& text) {
  return {plugin.line, "plugin '" + plugin.name + "': " + text};
}

Remark unknown_type(const Registry& registry, const PluginConfig& plugin) {
  std::string problem = "unknown type '" + plugin.type + "'";
  const std::string_view nearest = registry.nearest(plugin.type);
  if (!nearest.empty()) problem.append("; did you mean '").append(nearest).append("'?");
  return about(plugin, problem);
}

}  // namespace

PluginMaker::PluginMaker(const Registry& registry, const SchedulingConfig& config,
                         const PluginOptions& options)
    : registry_(registry), config_(config), options_(options), seeds_(options.seed) {
  for (const PluginConfig& plugin : config.plugins) {
    slots_.push_back(std::make_unique<Slot>(Slot{plugin}));
    if (plugin.name.empty()) slots_.back()->config.name = plugin.type;
  }
}

bool PluginMaker::make_all() {
  for (size_t i = 0; i < slots_.size(); ++i) {  // slots are added meanwhile
    if (slot_of(slots_[i]->config.name) == slots_[i].get()) {
      make(*slots_[i]);
    } else {
      problems_.push_back(
          about(slots_[i]->config, "another plugin has this name; give each a name of its own"));
    }
  }
  return problems_.empty();
}

void PluginMaker::make_all_beside_names() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (registry_.find(slots_[i]->config.type) != nullptr) continue;
    slots_[i]->state = State::kFailed;
  }
  for (size_t i = 0; i < slots_.size(); ++i) make(*slots_[i]);
}

void PluginMaker::connect_all() {
  for (const auto& plugin : made_) plugin->connect(*this);
}

Plugin* PluginMaker::find(std::string_view name) {
  Slot* slot = slot_of(name);
  return slot != nullptr ? make(*slot) : nullptr;
}

Plugin* PluginMaker::add(std::string_view type) {
  slots_.push_back(std::make_unique<Slot>());
  slots_.back()->config.name = slots_.back()->config.type = type;
  slots_.back()->config.translated = true;
  return make(*slots_.back());
}

std::vector<std::string_view> PluginMaker::names() const {
  std::vector<std::string_view> names;
  for (const auto& slot : slots_) names.push_back(slot->config.name);
  return names;
}

std::vector<PluginLabel> PluginMaker::labels() const {
  std::vector<PluginLabel> labels;
  for (const auto& slot : slots_) labels.push_back({slot->config.name, slot->config.type});
  return labels;
}

uint16_t PluginMaker::label_of(const Plugin* plugin) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const auto& slot) { return slot->plugin == plugin; });
  return static_cast<uint16_t>(found - slots_.begin());
}

std::vector<std::unique_ptr<Plugin>> PluginMaker::take_plugins() {
  return std::move(made_);
}

Plugin* PluginMaker::find_made_offer(const PluginKind& kind) const {
  Plugin* any = nullptr;
  for (const auto& slot : slots_) {
    if (slot->plugin == nullptr || !kind.is_offered_by(*slot->plugin)) continue;
    if (slot->config.type == kind.default_type) return slot->plugin;
    if (any == nullptr) any = slot->plugin;
  }
  return any;
}

PluginMaker::Slot* PluginMaker::slot_of(std::string_view name) {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const auto& slot) { return slot->config.name == name; });
  return found == slots_.end() ? nullptr : found->get();
}

Plugin* PluginMaker::make(Slot& slot) {
  if (slot.state == State::kMade) return slot.plugin;
  if (slot.state == State::kFailed) {
    ++failures_;
    return nullptr;
  }
  const size_t failures_before = failures_;
  const bool circle = slot.state == State::kBeingMade;
  const Checked<Plugin*> made =
      circle ? std::vector{about(slot.config, "depends on itself")} : make_new(slot);
  if (made) return *made;
  if (failures_ == failures_before) append(problems_, made.problems());
  ++failures_;
  slot.state = State::kFailed;
  return nullptr;
}

Checked<Plugin*> PluginMaker::make_new(Slot& slot) {
  const PluginConfig& config = slot.config;
  const PluginType* type = registry_.find(config.type);
  if (type == nullptr) return std::vector{unknown_type(registry_, config)};
  if (type->stability == Stability::kAlpha && !options_.allow_alpha && !config.translated) {
    return std::vector{about(config, "type '" + config.type +
                                         "' is experimental: allow it with "
                                         "--allow-experimental-plugins")};
  }
  if (type->stability == Stability::kDeprecated) {
    note(config, "type '" + config.type + "' is deprecated" +
                     (type->replaced_by.empty() ? "" : "; use " + type->replaced_by));
  }
  if (!type->note.empty() && config.line > 0) note(config, config.type + " " + type->note);
  slot.state = State::kBeingMade;
  static const Value kNone;
  const bool ignored = type->ignores_parameters && !config.parameters.is_null();
  if (ignored) {
    note(config, config.type + " takes no parameters: those that are given have no effect");
  }
  const Slot* asked_for_it = std::exchange(asking_, &slot);
  MadePlugin made = type->make(config.name, ignored ? kNone : config.parameters, *this);
  asking_ = asked_for_it;
  if (!made) {
    std::vector<Remark> problems = made.problems();
    for (Remark& problem : problems) {
      if (problem.line == 0) problem.line = config.line;
    }
    return problems;
  }
  slot.state = State::kMade;
  slot.plugin = made->get();
  made_.push_back(std::move(*made));
  return slot.plugin;
}

void PluginMaker::note(const PluginConfig& plugin, const std::string& text) {
  notes_.push_back(to_string(about(plugin, text)));
}

void PluginMaker::note(std::string_view text) {
  if (asking_ != nullptr) note(asking_->config, std::string(text));
}

std::vector<PluginMaker::Slot*> PluginMaker::offering(const PluginKind& kind) {
  std::vector<Slot*> offering;
  for (const auto& slot : slots_) {
    const PluginType* type = registry_.find(slot->config.type);
    if (type == nullptr || slot.get() == asking_) continue;
    const auto& offers = type->offers;
    if (std::find(offers.begin(), offers.end(), kind.name) == offers.end()) continue;
    if (slot->config.type == kind.default_type) return {slot.get()};
    offering.push_back(slot.get());
  }
  return offering;
}

Error PluginMaker::not_found(const PluginKind& kind, std::string problem) {
  std::string text = asking_ != nullptr ? asking_->config.name + ": " : std::string();
  text.append(problem);
  std::vector<Slot*> told = offering(kind);
  text.append(told.empty() ? "; none that is configured offers " : "; what offers ")
      .append(kind.name)
      .append(told.empty() ? ", there are:" : " is:");
  if (told.empty()) {
    for (const auto& slot : slots_) {
      if (slot.get() != asking_) told.push_back(slot.get());
    }
  }
  for (size_t i = 0; i < std::min(told.size(), kNamesToldMost); ++i) {
    text.append(" '").append(told[i]->config.name).append("'");
  }
  if (told.empty()) text.append(" no others");
  if (told.size() > kNamesToldMost) text.append(" ...");
  return Error{text};
}

Result<Plugin*> PluginMaker::find_offer(std::string_view name, const PluginKind& kind) {
  Slot* slot = nullptr;
  if (name.empty()) {
    const std::vector<Slot*> offers = offering(kind);
    if (offers.size() > 1) {
      return not_found(kind, "several plugins offer " + std::string(kind.name) + ": name one");
    }
    if (!offers.empty()) slot = offers[0];
    if (slot == nullptr && kind.default_type.empty()) {
      return not_found(kind, "needs a plugin that offers " + std::string(kind.name));
    }
  } else {
    slot = slot_of(name);
    if (slot == nullptr && name != kind.default_type) {
      return not_found(kind, "no plugin is named '" + std::string(name) + "'");
    }
  }
  Plugin* plugin = slot != nullptr ? make(*slot) : add(kind.default_type);
  if (plugin == nullptr) return Error{"a plugin that it needs cannot be made"};  // why is told
  if (kind.is_offered_by(*plugin)) return plugin;
  return not_found(kind,
                   "plugin '" + std::string(name) + "' does not offer " + std::string(kind.name));
}

void PluginMaker::want_prompt_view(BlockSize block) {
  too_many_views_ |= !prompt_views_.add(block);
}

const SharedPrefixIndex& PluginMaker::prefix_index(BlockSize block) {
  want_prompt_view(block);
  for (const auto& index : indexes_) {
    if (index->block() == block) return *index;
  }
  indexes_.push_back(std::make_unique<SharedPrefixIndex>(block, options_.endpoints));
  return *indexes_.back();
}

Result<BlockSizes> PluginMaker::prompt_views() const {
  if (!too_many_views_) return prompt_views_;
  return Error{"plugins read the prompt in blocks of more than " +
               std::to_string(kPromptViewsMost) + " sizes; give some the same blockSizeTokens"};
}

int PluginMaker::profile_index(std::string_view name) const {
  const auto found =
      std::find_if(config_.profiles.begin(), config_.profiles.end(),
                   [&](const SchedulingProfileConfig& profile) { return profile.name == name; });
  return found == config_.profiles.end() ? -1 : static_cast<int>(found - config_.profiles.begin());
}

}  // namespace kvasir
