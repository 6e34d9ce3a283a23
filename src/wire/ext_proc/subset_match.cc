#include "wire/ext_proc/subset_match.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace kvasir {
namespace {

struct Split {
  std::string_view host;
  std::string_view port;  // as written; empty without one
};

std::string_view without_brackets(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    return host.substr(1, host.size() - 2);
  }
  return host;
}

// At the last colon, unless that stands inside brackets.
Split split(std::string_view entry) {
  const size_t colon = entry.rfind(':');
  if (colon == std::string_view::npos || entry.back() == ']') return {without_brackets(entry), {}};
  return {without_brackets(entry.substr(0, colon)), entry.substr(colon + 1)};
}

bool is_port(std::string_view text, uint16_t port) {
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number == port;
}

bool one_matches(std::string_view entry, std::string_view host, uint16_t port, SubsetMode mode) {
  if (entry.empty()) return false;
  if (entry == host) return true;  // an IPv6 address without brackets has colons of its own
  const Split parts = split(entry);
  if (parts.host != host) return false;
  return mode == SubsetMode::kAddress || parts.port.empty() || is_port(parts.port, port);
}

bool entry_matches(std::string_view entry, std::string_view host, uint16_t port, SubsetMode mode) {
  for (;;) {
    const size_t comma = entry.find(',');
    if (one_matches(trimmed(entry.substr(0, comma), " "), host, port, mode)) return true;
    if (comma == std::string_view::npos) return false;
    entry.remove_prefix(comma + 1);
  }
}

}  // namespace

bool subset_match(std::span<const std::string_view> entries, std::string_view host, uint16_t port,
                  SubsetMode mode) {
  if (mode == SubsetMode::kIgnored) return true;
  return std::any_of(entries.begin(), entries.end(), [&](std::string_view entry) {
    return entry_matches(entry, host, port, mode);
  });
}

}  // namespace kvasir
