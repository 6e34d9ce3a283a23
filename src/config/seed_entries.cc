#include "config/seed_entries.h"

#include <algorithm>

#include "base/parameters.h"

namespace kvasir {
namespace {

const Value kNothing;

struct SeedArgs {
  std::string name;
  Value args;
  int line = 0;
  bool used = false;
};

class SeedReader {
 public:
  explicit SeedReader(ConfigReading& reading) : reading_(reading) {}

  std::vector<SeedProfile> read(const Value& document) {
    Parameters fields(document, "configuration", "field");
    fields.ignore("apiVersion");
    fields.ignore("kind");
    fields.ignore("metadata");
    read_plugin_configs(fields.any("pluginConfig"));
    std::vector<SeedProfile> profiles;
    for (const Value& element : read_list(fields.any("profiles"), "profiles", reading_.errors)) {
      profiles.push_back(read_profile(element, profiles.size()));
    }
    if (profiles.empty()) fields.fail("profiles", "is missing; pluginConfig alone enables nothing");
    append(reading_.errors, fields.problems());
    warn_unused();
    return profiles;
  }

 private:
  void read_plugin_configs(const Value* value) {
    for (const Value& element : read_list(value, "pluginConfig", reading_.errors)) {
      Parameters fields(element, "pluginConfig[" + std::to_string(configs_.size()) + "]", "field");
      SeedArgs config{fields.text("name", ""), Value(), element.line()};
      if (element.map() != nullptr && config.name.empty()) fields.fail("name", "is missing");
      if (const Value* args = fields.any("args")) config.args = *args;
      append(reading_.errors, fields.problems());
      if (find_config(config.name) != nullptr) {
        reading_.errors.push_back(
            Remark{config.line, "pluginConfig: '" + config.name + "' stands twice"});
      }
      configs_.push_back(std::move(config));
    }
  }

  SeedArgs* find_config(const std::string& name) {
    for (SeedArgs& config : configs_) {
      if (config.name == name) return &config;
    }
    return nullptr;
  }

  SeedProfile read_profile(const Value& value, size_t index) {
    const std::string owner = "profiles[" + std::to_string(index) + "]";
    Parameters fields(value, owner, "field");
    SeedProfile profile;
    profile.line = value.line();
    profile.name = fields.text("name", "default");
    const Value* plugins = fields.any("plugins");
    Parameters sections(plugins != nullptr ? *plugins : kNothing, profile.name, "field");
    profile.filters = read_section(sections.any("filter"), profile.name + ": filter", false);
    profile.scorers = read_section(sections.any("score"), profile.name + ": score", false);
    profile.scrapers = read_section(sections.any("scrape"), profile.name + ": scrape", true);
    append(reading_.errors, fields.problems());
    append(reading_.errors, sections.problems());
    if (enables(profile, "DecodeFilter") && enables(profile, "PrefillFilter")) {
      SeedEntry pair;
      pair.name = "pd-profile-handler";
      pair.line = profile.line;
      pair.args = join(pair, {});
      profile.pair = std::move(pair);
    }
    return profile;
  }

  static bool enables(const SeedProfile& profile, std::string_view filter) {
    return std::any_of(profile.filters.begin(), profile.filters.end(),
                       [&](const SeedEntry& entry) { return entry.name == filter; });
  }

  std::vector<SeedEntry> read_section(const Value* value, const std::string& owner, bool scrapes) {
    std::vector<SeedEntry> entries;
    if (value == nullptr) return entries;
    Parameters fields(*value, owner, "field");
    for (const Value& element :
         read_list(fields.any("enabled"), owner + ".enabled", reading_.errors)) {
      entries.push_back(
          read_entry(element, owner + ".enabled[" + std::to_string(entries.size()) + "]", scrapes));
    }
    append(reading_.errors, fields.problems());
    return entries;
  }

  SeedEntry read_entry(const Value& value, const std::string& owner, bool scrapes) {
    Parameters fields(value, owner, "field");
    SeedEntry entry;
    entry.line = value.line();
    entry.name = fields.text("name", "");
    if (value.map() != nullptr && entry.name.empty()) fields.fail("name", "is missing");
    const double weight = fields.number("weight", 1);
    if (fields.has("weight")) entry.weight = weight;
    Value::Map own;
    if (const Value* args = fields.any("args")) {
      if (args->map() != nullptr)
        own = *args->map();
      else
        fields.fail("args", "must be a map, not " + std::string(args->kind()));
    }
    // A scraper's interval and the like stand beside its name.
    if (scrapes) add_inline(value, fields, own);
    append(reading_.errors, fields.problems());
    entry.own_args = !own.empty();
    entry.args = join(entry, std::move(own));
    return entry;
  }

  static void add_inline(const Value& value, Parameters& fields, Value::Map& own) {
    for (const auto& field : value.map() != nullptr ? *value.map() : Value::Map()) {
      if (field.first == "name" || field.first == "weight" || field.first == "args") continue;
      fields.ignore(field.first);
      const bool present = std::any_of(own.begin(), own.end(),
                                       [&](const auto& one) { return one.first == field.first; });
      if (!present) own.push_back(field);
    }
  }

  // The entry's own arguments, and those of pluginConfig that it does not have.
  Value join(const SeedEntry& entry, Value::Map own) {
    SeedArgs* config = find_config(entry.name);
    if (config == nullptr) return own.empty() ? Value() : Value(std::move(own), entry.line);
    config->used = true;
    if (own.empty()) return config->args;
    const Value mine(std::move(own), entry.line);
    Value::Map joined = *mine.map();
    for (const auto& field : config->args.map() != nullptr ? *config->args.map() : Value::Map()) {
      const Value* first = mine.find(field.first);
      if (first == nullptr) {
        joined.push_back(field);
      } else {
        reading_.notes.push_back(Remark{first->line(), entry.name + ": this " + field.first +
                                                           " counts, not the one of line " +
                                                           std::to_string(field.second.line())});
      }
    }
    return Value(std::move(joined), entry.line);
  }

  void warn_unused() {
    for (const SeedArgs& config : configs_) {
      if (config.used || config.name.empty()) continue;
      reading_.warnings.push_back(
          Remark{config.line, "pluginConfig: '" + config.name + "' is used nowhere"});
    }
  }

  ConfigReading& reading_;
  std::vector<SeedArgs> configs_;
};

}  // namespace

std::vector<SeedProfile> read_seed_profiles(const Value& document, ConfigReading& reading) {
  return SeedReader(reading).read(document);
}

}  // namespace kvasir
