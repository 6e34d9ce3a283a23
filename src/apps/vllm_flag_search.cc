#include "apps/vllm_flag_search.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace kvasir {
namespace {

using Takes = VllmFlag::Takes;

constexpr size_t kEditsMost = 3;  // between an unknown flag and what may have been meant

bool has_name(const VllmFlag& flag, std::string_view name) {
  std::string_view rest = flag.other_names;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == name) return true;
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  return false;
}

// By its whole name, without dashes: NAME, no-NAME, or disable-X for enable-X and the other way
// round.
FoundFlag find_whole(std::string_view name) {
  const auto find = [](std::string_view wanted) -> const VllmFlag* {
    for (const VllmFlag& flag : vllm_flags()) {
      if (flag.name == wanted) return &flag;
    }
    return nullptr;
  };
  if (const VllmFlag* flag = find(name)) return {flag, false};
  const auto switch_of = [&](const std::string& wanted) {
    const VllmFlag* flag = find(wanted);
    return flag != nullptr && flag->takes == Takes::kSwitch ? flag : nullptr;
  };
  const bool negated = name.starts_with("no-");
  const std::string_view bare = negated ? name.substr(3) : name;
  if (negated) {
    if (const VllmFlag* flag = switch_of(std::string(bare))) return {flag, true};
  }
  for (const auto& [prefix, inverse] :
       {std::pair<std::string_view, std::string_view>{"disable-", "enable-"},
        std::pair<std::string_view, std::string_view>{"enable-", "disable-"}}) {
    if (!bare.starts_with(prefix)) continue;
    const std::string other = std::string(inverse).append(bare.substr(prefix.size()));
    if (const VllmFlag* flag = switch_of(other)) return {flag, !negated};
  }
  return {};
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t i = 0; i < row.size(); ++i) row[i] = i;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t k = 0; k < b.size(); ++k) {
      const size_t replaced = diagonal + (a[i] == b[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({replaced, row[k] + 1, row[k + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Error unknown_flag(const std::string& given, std::string_view name) {
  const VllmFlag* nearest = nullptr;
  size_t distance = kEditsMost + 1;
  for (const VllmFlag& flag : vllm_flags()) {
    const size_t edits = name.size() > 64 ? kEditsMost + 1 : edit_distance(name, flag.name);
    if (edits >= distance || edits * 3 > name.size()) continue;
    nearest = &flag;
    distance = edits;
  }
  std::string message = given + ": neither vLLM nor this worker has that flag";
  if (nearest != nullptr) message.append("; did you mean --").append(nearest->name).append("?");
  return Error{message + " (kvasir worker --help lists them)"};
}

Result<FoundFlag> find_flag(const std::string& given, std::string_view name) {
  const FoundFlag whole = find_whole(name);
  if (whole.flag != nullptr) return whole;
  const std::string with_dashes = std::string("--").append(name);
  for (const VllmFlag& flag : vllm_flags()) {
    if (has_name(flag, with_dashes)) return FoundFlag{&flag, false};
  }
  FoundFlag only;
  std::string all;
  size_t count = 0;
  const auto consider = [&](const VllmFlag& flag, bool off) {
    const std::string full = std::string(off ? "no-" : "").append(flag.name);
    if (!full.starts_with(name)) return;
    only = {&flag, off};
    if (++count <= 5) all.append(all.empty() ? "--" : ", --").append(full);
  };
  for (const VllmFlag& flag : vllm_flags()) {
    consider(flag, false);
    if (flag.takes == Takes::kSwitch) consider(flag, true);
  }
  if (count == 0 || name.empty()) return unknown_flag(given, name);
  if (count == 1) return only;
  return Error{given + ": may be " + all + (count > 5 ? " and others" : "")};
}

ShortFlag find_short_flag(std::string_view argument) {
  const size_t equals = argument.find('=');
  const std::string_view name = argument.substr(0, equals);
  for (const VllmFlag& flag : vllm_flags()) {
    if (!has_name(flag, name)) continue;
    if (equals == std::string_view::npos) return {&flag, std::nullopt};
    return {&flag, std::string(argument.substr(equals + 1))};
  }
  if (argument.size() < 3 || argument[1] == '-') return {};
  for (const VllmFlag& flag : vllm_flags()) {
    if (flag.takes == Takes::kSwitch || !has_name(flag, argument.substr(0, 2))) continue;
    return {&flag, std::string(argument.substr(2))};
  }
  return {};
}

}  // namespace kvasir
