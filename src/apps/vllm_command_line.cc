#include "apps/vllm_command_line.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "apps/args_file.h"
#include "apps/vllm_flag_search.h"
#include "apps/vllm_flag_values.h"

namespace kvasir {
namespace {

using Takes = VllmFlag::Takes;
using Effect = VllmFlag::Effect;

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool is_negative_number(std::string_view text) {
  return text.size() > 1 && text[0] == '-' &&
         text.find_first_not_of("0123456789.", 1) == std::string_view::npos;
}

bool is_flag(std::string_view argument) {
  return argument.size() > 1 && argument[0] == '-' && !is_negative_number(argument);
}

class CommandLineReader {
 public:
  // Later flags win over earlier ones. The error names the flag.
  Result<void> read(const std::vector<std::string>& arguments);
  Result<void> read(const FlagFileEntry& entry);
  VllmCommandLine take();

 private:
  Result<void> read_flag(const std::vector<std::string>& arguments, size_t& next, bool in_file);
  Result<void> read_piece(const std::string& given, const std::string& name,
                          const std::optional<std::string>& value,
                          const std::vector<std::string>& arguments, size_t& next);
  Result<void> take_flag(const std::string& given, FoundFlag found,
                         std::optional<std::string> value,
                         const std::vector<std::string>& arguments, size_t& next, bool in_file);
  Result<void> apply(const std::string& given, FoundFlag found, std::vector<std::string> values);
  Result<void> set_model(const std::string& model);

  using Honoured = std::vector<std::pair<const VllmFlag*, std::vector<std::string>>>;
  Honoured::iterator find_honoured(const VllmFlag& flag) {
    return std::find_if(honoured_.begin(), honoured_.end(),
                        [&](const auto& entry) { return entry.first == &flag; });
  }

  Honoured honoured_;
  std::vector<const VllmFlag*> without_effect_;
  std::optional<std::string> position_;
};

// "--max_model_len.x=1" -> the name with dashes up to its first dot, and what stands behind "=".
std::pair<std::string, std::optional<std::string>> split_long(const std::string& argument) {
  const size_t equals = argument.find('=');
  std::string name = argument.substr(0, equals);
  const size_t dot = std::min(name.find('.'), name.size());
  std::replace(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(dot), '_', '-');
  std::optional<std::string> value;
  if (equals != std::string::npos) value = argument.substr(equals + 1);
  return {std::move(name), std::move(value)};
}

Result<void> CommandLineReader::read(const std::vector<std::string>& arguments) {
  for (size_t next = 0; next < arguments.size();) {
    if (!is_flag(arguments[next])) {
      if (Result<void> model = set_model(arguments[next++]); !model) return model;
      continue;
    }
    if (Result<void> flag = read_flag(arguments, next, false); !flag) return flag;
  }
  return {};
}

// Whether a flag can mean anything by a value of that kind. Those without effect are not judged:
// what they take is not known here.
Result<void> check_kind(const VllmFlag& flag, const FlagFileEntry& entry) {
  if (flag.effect != Effect::kHonoured) return {};
  const bool takes_maps = flag.name == "lora-modules" || flag.takes == Takes::kJson;
  const bool lost = entry.kind == "a boolean" && flag.takes != Takes::kSwitch;
  if (!lost && (!entry.holds_map || takes_maps)) return {};
  const bool several = flag.takes == Takes::kValues;
  return Error{std::string(flag.takes == Takes::kSwitch ? "takes true or false"
                           : several                    ? "takes texts or numbers"
                                                        : "takes a text or a number") +
               ", not " + std::string(entry.holds_map ? "a map" : entry.kind)};
}

// One key of a file: all its values belong to it.
Result<void> CommandLineReader::read(const FlagFileEntry& entry) {
  const std::string given = entry.arguments.front().substr(0, entry.arguments.front().find('='));
  const std::string name = split_long(given).first;
  const bool piece = name.find('.') != std::string::npos;
  const Result<FoundFlag> found =
      find_flag(given, std::string_view(name).substr(2, piece ? name.find('.') - 2 : name.size()));
  if (!found) return found.error();
  if (entry.kind == "nothing") return {};  // as if it were not there
  const Result<void> fits = piece ? Result<void>() : check_kind(*found->flag, entry);
  if (!fits) return Error{given + ": " + fits.error().message};
  if (entry.kind == "a list" && entry.arguments.size() == 1) return {};
  size_t next = 0;
  if (Result<void> flag = read_flag(entry.arguments, next, true); !flag) return flag;
  if (next == entry.arguments.size()) return {};
  if (entry.kind == "a list") {
    return Error{given + ": takes one value, not a list of " +
                 std::to_string(entry.arguments.size() - 1)};
  }
  return Error{given + ": '" + entry.arguments[next] + "' is neither true nor false"};
}

Result<void> CommandLineReader::set_model(const std::string& model) {
  if (position_) {
    return Error{"'" + model + "': one model is served, and '" + *position_ +
                 "' stands before it; put -- before a flag's name"};
  }
  position_ = model;
  return {};
}

// -O, -O3, -O=3, -O 3, -O.mode=3, -O '{...}': no effect here, but its value must be skipped.
bool is_optimization_level(std::string_view argument) {
  return starts_with(argument, "-O");
}

Result<void> CommandLineReader::read_flag(const std::vector<std::string>& arguments, size_t& next,
                                          bool in_file) {
  const std::string& given = arguments[next++];
  if (is_optimization_level(given)) {
    const Result<FoundFlag> level = find_flag(given, "optimization-level");
    if (!level) return level.error();
    const bool piece = given.size() > 2 && given[2] == '.' && given.find('=') == std::string::npos;
    if (given.size() > 2 && !piece) return apply(given, *level, {given.substr(2)});
    return take_flag(given, *level, std::nullopt, arguments, next, in_file);
  }
  if (!starts_with(given, "--")) {
    const size_t dot = given.find('.');
    const size_t equals = given.find('=');
    if (dot < equals && find_short_flag(given.substr(0, dot)).flag != nullptr) {
      const std::string name(find_short_flag(given.substr(0, dot)).flag->name);
      auto [unused, value] = split_long(given);
      return read_piece(given, name, value, arguments, next);
    }
  }
  if (ShortFlag found = find_short_flag(given); found.flag != nullptr) {
    return take_flag(given, {found.flag, false}, std::move(found.value), arguments, next, in_file);
  }
  if (!starts_with(given, "--")) return unknown_flag(given, given.substr(1));
  auto [name, value] = split_long(given);
  const std::string shown = given.substr(0, given.find('='));
  const size_t dot = name.find('.');
  if (dot != std::string::npos) {
    return read_piece(shown, name.substr(2, dot - 2), value, arguments, next);
  }
  const Result<FoundFlag> found = find_flag(shown, std::string_view(name).substr(2));
  if (!found) return found.error();
  return take_flag(shown, *found, std::move(value), arguments, next, in_file);
}

// One member of a JSON flag: --kv-transfer-config.kv_role kv_both.
Result<void> CommandLineReader::read_piece(const std::string& given, const std::string& name,
                                           const std::optional<std::string>& value,
                                           const std::vector<std::string>& arguments,
                                           size_t& next) {
  const Result<FoundFlag> found = find_flag(given, name);
  if (!found) return found.error();
  const bool ignored = found->flag->takes == Takes::kValue && found->flag->effect == Effect::kNone;
  if (!ignored && found->flag->takes != Takes::kJson) {
    return Error{given + ": --" + std::string(found->flag->name) + " takes no JSON"};
  }
  if (!value && next == arguments.size()) return Error{given + ": a value is missing"};
  const std::string& piece = value ? *value : arguments[next++];
  if (ignored) return apply(given, *found, {"{}"});
  const auto earlier = find_honoured(*found->flag);
  const std::string before = earlier == honoured_.end() ? "{}" : earlier->second.front();
  Result<std::string> merged = with_json_member(before, given.substr(given.find('.') + 1), piece);
  if (!merged) return Error{given + ": " + merged.error().message};
  return apply(given, *found, {std::move(*merged)});
}

Result<void> CommandLineReader::take_flag(const std::string& given, FoundFlag found,
                                          std::optional<std::string> value,
                                          const std::vector<std::string>& arguments, size_t& next,
                                          bool in_file) {
  const auto has_next = [&] { return next < arguments.size() && !is_flag(arguments[next]); };
  std::vector<std::string> values;
  if (value) values.push_back(std::move(*value));
  switch (found.flag->takes) {
    case Takes::kSwitch: {
      const bool spelled_out = values.empty() && has_next() && read_flag_truth(arguments[next]);
      if (spelled_out) values.push_back(arguments[next++]);
      break;
    }
    case Takes::kOptionalValue:
      if (values.empty() && has_next()) values.push_back(arguments[next++]);
      break;
    case Takes::kValue:
    case Takes::kJson:
    case Takes::kCount:
      if (values.empty() && has_next()) values.push_back(arguments[next++]);
      if (values.empty()) return Error{given + ": a value is missing"};
      break;
    case Takes::kValues:
      while (has_next()) values.push_back(arguments[next++]);
      if (values.empty()) return Error{given + ": a value is missing"};
      break;
  }
  if (found.flag->effect == Effect::kFile) {
    if (in_file) return Error{given + ": a file of flags cannot name another one"};
    return {};  // read before everything else
  }
  return apply(given, found, std::move(values));
}

Result<void> CommandLineReader::apply(const std::string& given, FoundFlag found,
                                      std::vector<std::string> values) {
  const VllmFlag& flag = *found.flag;
  if (flag.takes == Takes::kSwitch) {
    const std::optional<bool> truth = values.empty() ? true : read_flag_truth(values.front());
    if (!truth) return Error{given + ": '" + values.front() + "' is neither true nor false"};
    values = {*truth != found.off ? "true" : "false"};
  }
  for (std::string& value : values) {
    if (is_broken_json(value)) return Error{given + ": not valid JSON: " + value.substr(0, 200)};
    if (flag.takes != Takes::kCount) continue;
    const bool may_be_auto = flag.name == "max-model-len";
    if (may_be_auto && (value == "-1" || value == "auto" || value == "Auto" || value == "AUTO")) {
      value = kAutoLength;
      continue;
    }
    const std::optional<uint64_t> count = read_flag_count(value);
    if (!count || *count == 0) {
      return Error{given + ": '" + value + "' is not a whole number above 0 (32768, 32k, 32K" +
                   (may_be_auto ? ", auto)" : ")")};
    }
    value = std::to_string(*count);
  }
  const bool off = flag.takes == Takes::kSwitch && values.front() == "false";
  if (flag.effect == Effect::kRefused) {
    if (off) return {};
    return Error{given +
                 ": the simulated worker serves plain HTTP over TCP only; leave the flag out"};
  }
  if (flag.effect == Effect::kAlways && !off) return {};
  if (flag.effect != Effect::kHonoured) {
    if (std::find(without_effect_.begin(), without_effect_.end(), &flag) == without_effect_.end()) {
      without_effect_.push_back(&flag);
    }
    return {};
  }
  const auto earlier = find_honoured(flag);
  if (earlier != honoured_.end()) honoured_.erase(earlier);
  honoured_.emplace_back(&flag, std::move(values));
  return {};
}

VllmCommandLine CommandLineReader::take() {
  VllmCommandLine line;
  for (const auto& [flag, values] : honoured_) {
    if (flag->name == "model" && position_) continue;
    std::string name = std::string("--").append(flag->name);
    if (flag->takes == Takes::kSwitch) {
      line.arguments.push_back(name.append("=").append(values.front()));
      continue;
    }
    line.arguments.push_back(std::move(name));
    line.arguments.insert(line.arguments.end(), values.begin(), values.end());
  }
  if (position_) line.arguments.insert(line.arguments.end(), {"--model", *position_});
  for (const VllmFlag* flag : without_effect_) {
    line.without_effect.push_back(std::string("--").append(flag->name));
  }
  return line;
}

// Without the words that start vLLM itself.
std::vector<std::string> without_program(std::vector<std::string> arguments) {
  size_t skipped = 0;
  const auto word = [&](size_t index) {
    return index < arguments.size() ? std::string_view(arguments[index]) : std::string_view();
  };
  if (starts_with(word(0), "python") && word(1) == "-m" && starts_with(word(2), "vllm.")) {
    skipped = 3;
  } else {
    if (word(0) == "vllm" && word(1) == "serve") skipped = 1;
    if (word(skipped) == "serve") ++skipped;
  }
  arguments.erase(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(skipped));
  return arguments;
}

// The file that --config names; nullopt: none does.
Result<std::optional<std::string>> config_file(const std::vector<std::string>& arguments) {
  std::optional<std::string> file;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool apart = arguments[i] == "--config";
    const bool joined = starts_with(arguments[i], "--config=");
    if (!apart && !joined) continue;
    if (file) return Error{"--config: given twice"};
    if (apart && i + 1 == arguments.size()) return Error{"--config: a value is missing"};
    file = apart ? arguments[i + 1] : arguments[i].substr(std::string_view("--config=").size());
  }
  return file;
}

}  // namespace

Result<VllmCommandLine> read_vllm_command_line(const std::vector<std::string>& given) {
  const Result<std::vector<std::string>> words = with_args_files(given);
  if (!words) return words.error();
  const std::vector<std::string> arguments = without_program(*words);
  CommandLineReader reader;
  const Result<std::optional<std::string>> file = config_file(arguments);
  if (!file) return file.error();
  if (*file) {
    const Result<std::vector<FlagFileEntry>> entries = read_flag_file(**file);
    if (!entries) return entries.error();
    for (const FlagFileEntry& entry : *entries) {
      if (Result<void> read = reader.read(entry); !read) {
        const std::string line = entry.line > 0 ? ":" + std::to_string(entry.line) : "";
        return Error{"--config: " + **file + line + ": " + read.error().message};
      }
    }
  }
  if (Result<void> read = reader.read(arguments); !read) return read.error();
  return reader.take();
}

}  // namespace kvasir
