#include "apps/upstream_flags.h"

#include <CLI/CLI.hpp>

#include "apps/duration_flag.h"

namespace kvasir {

std::string_view to_string(FlagEffect effect) {
  switch (effect) {
    case FlagEffect::kHonoured:
      return "honoured";
    case FlagEffect::kWithoutEffect:
      return "without effect";
    case FlagEffect::kRefused:
      return "refused";
  }
  return "?";
}

std::shared_ptr<UpstreamFlags> UpstreamFlags::add_to(CLI::App& command,
                                                     std::span<const UpstreamFlag> table) {
  auto flags = std::make_shared<UpstreamFlags>();
  for (const UpstreamFlag& flag : table) {
    if (flag.effect == FlagEffect::kHonoured) continue;
    flags->written_.push_back(std::make_unique<Written>(Written{flag, ""}));
    std::string& value = flags->written_.back()->value;
    const std::string name(flag.name);
    CLI::Option* option =
        flag.is_switch ? command.add_flag(name, value, "") : command.add_option(name, value);
    option->group("");
  }
  return flags;
}

Result<void> UpstreamFlags::check() const {
  for (const auto& written : written_) {
    const UpstreamFlag& flag = written->flag;
    const std::string value = normal(*written);
    const std::string said = std::string(flag.name) + "=" + written->value;
    if (flag.is_switch && !value.empty() && value != "true" && value != "false") {
      return Error{said + ": neither true nor false"};
    }
    const std::string problem =
        flag.is_duration && !value.empty() ? upstream_duration_problem(value) : "";
    if (!problem.empty()) return Error{std::string(flag.name) + ": " + problem};
    if (value.empty() || value == flag.harmless) continue;
    if (flag.effect == FlagEffect::kWithoutEffect) continue;
    return Error{said + " is not there: " + std::string(flag.text)};
  }
  return {};
}

// As Go's flags write true and false.
std::string UpstreamFlags::normal(const Written& written) {
  const std::string& value = written.value;
  if (!written.flag.is_switch) return value;
  for (const char* yes : {"1", "t", "T", "TRUE", "True"}) {
    if (value == yes) return "true";
  }
  for (const char* no : {"0", "f", "F", "FALSE", "False"}) {
    if (value == no) return "false";
  }
  return value;
}

std::string UpstreamFlags::warning() const {
  std::string text;
  for (const auto& written : written_) {
    const UpstreamFlag& flag = written->flag;
    const std::string value = normal(*written);
    if (value.empty() || value == flag.harmless) continue;
    if (flag.effect != FlagEffect::kWithoutEffect) continue;
    text.append(text.empty() ? "taken without effect: " : "; ");
    text.append(flag.name).append(" (").append(flag.text).append(")");
  }
  return text;
}

std::vector<std::string> without_empty_words(const CLI::App& command,
                                             std::vector<std::string> arguments) {
  const auto takes_a_value = [&command](const std::string& word) {
    const CLI::Option* option = word.starts_with('-') ? command.get_option_no_throw(word) : nullptr;
    return option != nullptr && option->get_items_expected_min() > 0;
  };
  std::vector<std::string> kept;
  for (std::string& word : arguments) {
    const bool is_a_value = !kept.empty() && takes_a_value(kept.back());
    if (!word.empty() || is_a_value) kept.push_back(std::move(word));
  }
  return kept;
}

}  // namespace kvasir
