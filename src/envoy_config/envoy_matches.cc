#include "envoy_config/envoy_matches.h"

#include <algorithm>

#include "base/text.h"
#include "routes/route_actions.h"

namespace kvasir {
namespace {

constexpr std::string_view kRegexSigns = "\\.^$|?*+()[]{}";
constexpr std::string_view kHex = "0123456789abcdef";

bool needs_no_escape(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

// A hexadecimal digit of either case.
std::string hex_digit_regex(unsigned value) {
  const char digit = kHex[value];
  if (is_digit(digit)) return {digit};
  return std::string("[") + digit + static_cast<char>(digit - 'a' + 'A') + "]";
}

// Envoy holds parameters of a query against a match as they were sent. This holds for each way in
// which clients send `value`; letters and digits are sent as they are.
std::string sent_value_regex(std::string_view value) {
  std::string regex;
  for (const char c : value) {
    if (needs_no_escape(c)) {
      regex += literal_regex({&c, 1});
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    const std::string escaped = "%" + hex_digit_regex(byte >> 4) + hex_digit_regex(byte & 15);
    // "+" is a space; "&" and "#" end a value.
    const bool as_it_is = c > ' ' && c < 0x7f && c != '+' && c != '&' && c != '#';
    std::string other = c == ' ' ? "\\+" : as_it_is ? literal_regex({&c, 1}) : "";
    regex += other.empty() ? escaped : "(?:" + other + "|" + escaped + ")";
  }
  return regex;
}

EnvoyJson string_match(const std::string& value, bool regex) {
  if (regex) return {{"safe_regex", {{"regex", value}}}};
  return {{"exact", value}};
}

void add_path(const HTTPRoute::Match& match, EnvoyJson& json) {
  switch (match.path_kind) {
    case HTTPRoute::PathKind::kExact:
      json["path"] = match.path;
      return;
    case HTTPRoute::PathKind::kRegex:
      json["safe_regex"] = {{"regex", match.path}};
      return;
    case HTTPRoute::PathKind::kPrefix:
      break;
  }
  const std::string prefix(without_last_slash(match.path));
  if (prefix.empty()) {
    json["prefix"] = "/";
  } else {
    json["path_separated_prefix"] = prefix;
  }
}

EnvoyJson query_parameter(const HTTPRoute::Pair& pair) {
  const bool plain =
      pair.regex || std::all_of(pair.value.begin(), pair.value.end(), needs_no_escape);
  return {{"name", pair.name},
          {"string_match", plain ? string_match(pair.value, pair.regex)
                                 : string_match(sent_value_regex(pair.value), true)}};
}

}  // namespace

std::string literal_regex(std::string_view text) {
  std::string regex;
  for (const char c : text) {
    if (kRegexSigns.find(c) != kRegexSigns.npos) regex += '\\';
    regex += c;
  }
  return regex;
}

EnvoyJson route_match(const HTTPRoute::Match& match) {
  EnvoyJson json = EnvoyJson::object();
  add_path(match, json);
  EnvoyJson headers = EnvoyJson::array();
  if (!match.method.empty()) {
    headers.push_back({{"name", ":method"}, {"string_match", string_match(match.method, false)}});
  }
  for (const HTTPRoute::Pair& pair : match.headers) {
    headers.push_back(
        {{"name", pair.name}, {"string_match", string_match(pair.value, pair.regex)}});
  }
  if (!headers.empty()) json["headers"] = std::move(headers);
  for (const HTTPRoute::Pair& pair : match.query) {
    json["query_parameters"].push_back(query_parameter(pair));
  }
  return json;
}

}  // namespace kvasir
