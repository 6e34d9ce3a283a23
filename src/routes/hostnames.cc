#include "routes/hostnames.h"

namespace kvasir {
namespace {

bool is_wildcard(std::string_view name) {
  return name.substr(0, 2) == "*.";
}

// The end with its dot: ".example.com".
std::string_view wildcard_end(std::string_view wildcard) {
  return wildcard.substr(1);
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

bool hostname_matches(std::string_view pattern, std::string_view host) {
  if (pattern.empty()) return true;
  if (!is_wildcard(pattern)) return pattern == host;
  return ends_with(host, wildcard_end(pattern));
}

std::optional<std::string> hostname_intersection(std::string_view a, std::string_view b) {
  if (a.empty() || a == b) return std::string(b);
  if (b.empty()) return std::string(a);
  if (is_wildcard(a) && is_wildcard(b)) {
    if (ends_with(wildcard_end(a), wildcard_end(b))) return std::string(a);
    if (ends_with(wildcard_end(b), wildcard_end(a))) return std::string(b);
    return std::nullopt;
  }
  if (hostname_matches(a, b)) return std::string(b);
  if (hostname_matches(b, a)) return std::string(a);
  return std::nullopt;
}

bool is_more_specific_hostname(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return !a.empty() && b.empty();
  if (is_wildcard(a) != is_wildcard(b)) return is_wildcard(b);
  return a.size() > b.size();
}

std::string_view host_without_port(std::string_view authority) {
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  if (colon != authority.npos && (bracket == authority.npos || colon > bracket)) {
    authority = authority.substr(0, colon);
  }
  if (!authority.empty() && authority.back() == '.') authority.remove_suffix(1);
  return authority;
}

}  // namespace kvasir
