#include "apps/fleet_flags.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

namespace kvasir {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Value& value) {
  if (const bool* on = value.boolean()) return *on;
  if (const int64_t* whole = value.integer()) return *whole;
  if (const auto number = value.number()) return *number;
  if (const std::string* text = value.text()) return *text;
  if (const Value::List* list = value.list()) {
    Json array = Json::array();
    for (const Value& item : *list) array.push_back(to_json(item));
    return array;
  }
  if (const Value::Map* map = value.map()) {
    Json object = Json::object();
    for (const auto& [key, member] : *map) object[key] = to_json(member);
    return object;
  }
  return nullptr;
}

// {prefill.url} without quotes is a map in YAML.
bool is_bare_reference(const Value& value) {
  const Value::Map* map = value.map();
  return map != nullptr && map->size() == 1 && map->front().second.is_null();
}

// Who says that flag, when a group cannot; "": nobody.
std::string_view said_by(std::string_view flag, FleetProgram program) {
  flag.remove_prefix(std::min(flag.find_first_not_of('-'), flag.size()));
  if (flag == "host") return "--host of `kvasir up`";
  const bool simulates = program == FleetProgram::kWorker || program == FleetProgram::kGateway;
  if (simulates && (flag == "time-scale" || flag == "engine-profile")) {
    return "the same key at the top of the file, for the whole fleet";
  }
  if (program == FleetProgram::kGateway) {
    if (flag == "port" || flag == "config") return "the gateway's key of that name";
    if (flag == "worker-urls" || flag == "prefill-urls" || flag == "decode-urls" ||
        flag == "endpoints-file" || flag == "dns") {
      return "the gateway's key 'endpoints'";
    }
  } else if (flag == "port") {
    return "`kvasir up`: it takes free ports and holds them";
  }
  if (program == FleetProgram::kSidecar && (flag == "model-server-port" || flag == "vllm-port")) {
    return "the sidecar's key 'beside'";
  }
  return "";
}

class FlagReader {
 public:
  explicit FlagReader(FleetProgram program) : program_(program) {}

  std::vector<FleetFlag> read(const Value& flags) {
    if (const Value::Map* map = flags.map()) {
      for (const auto& [name, value] : *map) add_flag(name, value);
    } else if (const Value::List* list = flags.list()) {
      for (const Value& word : *list) add_word(word);
    } else {
      problem(flags.line(), "must be a map, or a list of words");
    }
    return std::move(flags_);
  }

 private:
  void problem(int line, std::string text) { flags_.push_back({"", line, std::move(text)}); }

  void add(std::string word, int line) {
    const std::string_view name = std::string_view(word).substr(0, word.find('='));
    const std::string_view other = name.starts_with("-") ? said_by(name, program_) : "";
    if (!other.empty()) return problem(line, fmt::format("{} is said by {}", name, other));
    flags_.push_back({std::move(word), line, ""});
  }

  void add_word(const Value& word) {
    const std::optional<std::string> text = scalar_text(word);
    if (!text) return problem(word.line(), "a list of flags holds words, as on a command line");
    add(*text, word.line());
  }

  void add_flag(const std::string& name, const Value& value) {
    const int line = value.line();
    if (name.starts_with("-"))
      return problem(line, fmt::format("'{}': write it without dashes", name));
    if (const bool* on = value.boolean()) return add(switch_word(name, *on), line);
    if (value.is_null()) {
      return problem(line, name + " has no value; of a flag without one: true");
    }
    if (const Value::List* list = value.list()) {
      for (const Value& item : *list) add_value(name, item);
      return;
    }
    add_value(name, value);
  }

  std::string switch_word(const std::string& name, bool on) const {
    if (program_ == FleetProgram::kSidecar) return fmt::format("--{}={}", name, on);
    return (on ? "--" : "--no-") + name;
  }

  void add_value(const std::string& name, const Value& value) {
    if (is_bare_reference(value)) {
      return problem(value.line(), fmt::format("{} must have quotes: \"{{{}}}\"", name,
                                               value.map()->front().first));
    }
    const std::optional<std::string> text = scalar_text(value);
    add(fmt::format("--{}={}", name, text ? *text : to_json(value).dump()), value.line());
  }

  const FleetProgram program_;
  std::vector<FleetFlag> flags_;
};

}  // namespace

std::vector<FleetFlag> read_fleet_flags(const Value& flags, FleetProgram program) {
  return FlagReader(program).read(flags);
}

std::optional<std::string> scalar_text(const Value& value) {
  if (const std::string* text = value.text()) return *text;
  if (const bool* on = value.boolean()) return *on ? "true" : "false";
  if (const int64_t* whole = value.integer()) return fmt::format("{}", *whole);
  if (const auto number = value.number()) return fmt::format("{}", *number);
  return std::nullopt;
}

}  // namespace kvasir
