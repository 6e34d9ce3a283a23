#include "routes/host_matches.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"

namespace kvasir {
namespace {

using PathKind = HTTPRoute::PathKind;

// Of one expression, in memory; RE2's own limit is 8 MiB.
constexpr int64_t kRegexBytesMost = 1 << 20;

RE2::Options regex_options() {
  RE2::Options options;
  options.set_max_mem(kRegexBytesMost);
  options.set_log_errors(false);
  return options;
}

std::unique_ptr<const RE2> compile(const std::string& text) {
  return std::make_unique<const RE2>(text, regex_options());
}

bool matches(const RE2& regex, std::string_view text) {
  return RE2::FullMatch({text.data(), text.size()}, regex);
}

// All fields of that name as one value.
std::optional<std::string_view> field_value(const HttpHead& head, std::string_view name,
                                            std::string& joined) {
  std::optional<std::string_view> found;
  for (size_t i = 0; i < head.field_count(); ++i) {
    const HttpHead::Field field = head.field(i);
    if (!equal_ignoring_case(field.name, name)) continue;
    if (!found) {
      found = trimmed(field.value);
      continue;
    }
    if (joined.empty()) joined = *found;
    joined.append(",").append(trimmed(field.value));
    found = joined;
  }
  return found;
}

std::string decoded_parameter(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
                         hex_value(text[i + 2]) >= 0;
    if (escaped) {
      decoded += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

// The first of that name; names count as they are written, case and all.
std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    if (decoded_parameter(pair.substr(0, equals)) != name) continue;
    return decoded_parameter(pair.substr(std::min(equals + 1, pair.size())));
  }
  return std::nullopt;
}

std::vector<MatchCondition> compile(const std::vector<HTTPRoute::Pair>& pairs) {
  std::vector<MatchCondition> conditions;
  for (const HTTPRoute::Pair& pair : pairs) {
    conditions.push_back({pair.name, pair.value, pair.regex ? compile(pair.value) : nullptr});
  }
  return conditions;
}

}  // namespace

bool MatchCondition::holds(std::string_view of) const {
  return regex ? matches(*regex, of) : of == value;
}

bool CompiledMatch::holds(const RouteRequest& request) const {
  const HTTPRoute::Match& match = entry->match;
  if (!match.method.empty() && match.method != request.head.method()) return false;
  std::string joined;
  for (const MatchCondition& header : headers) {
    joined.clear();
    const auto value = field_value(request.head, header.name, joined);
    if (!value || !header.holds(*value)) return false;
  }
  for (const MatchCondition& parameter : query) {
    const auto value = query_value(request.query, parameter.name);
    if (!value || !parameter.holds(*value)) return false;
  }
  return path == nullptr || matches(*path, request.path);
}

void HostMatches::add(const RouteEntry& entry) {
  CompiledMatch one{&entry, compile(entry.match.headers), compile(entry.match.query), nullptr};
  const std::string& path = entry.match.path;
  switch (entry.match.path_kind) {
    case PathKind::kExact:
      exact_[path].push_back(std::move(one));
      break;
    case PathKind::kRegex:
      one.path = compile(path);
      regex_.push_back(std::move(one));
      break;
    case PathKind::kPrefix:
      prefix_[without_last_slash(path)].push_back(std::move(one));
      break;
  }
}

void HostMatches::sort(Bucket& bucket) {
  std::stable_sort(bucket.begin(), bucket.end(),
                   [](const CompiledMatch& a, const CompiledMatch& b) {
                     return comes_before(*a.entry, *b.entry);
                   });
}

void HostMatches::sort_all() {
  for (auto& [path, bucket] : exact_) sort(bucket);
  for (auto& [path, bucket] : prefix_) sort(bucket);
  sort(regex_);
}

bool is_route_regex(const std::string& text) {
  return compile(text)->ok();
}

}  // namespace kvasir
