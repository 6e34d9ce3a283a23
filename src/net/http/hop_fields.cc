#include "net/http/hop_fields.h"

#include <algorithm>

#include "base/text.h"
#include "net/http/http_head.h"

namespace kvasir {
namespace {

constexpr std::string_view kHopFields[] = {"Connection",     "Keep-Alive",        "TE",
                                           "Trailer",        "Transfer-Encoding", "Upgrade",
                                           "HTTP2-Settings", "Content-Length"};

char hyphenated(char c) {
  return c == '_' ? '-' : lower_case(c);
}

}  // namespace

bool reads_as(std::string_view name, std::string_view known) {
  return name.size() == known.size() &&
         std::equal(name.begin(), name.end(), known.begin(),
                    [](char a, char b) { return hyphenated(a) == hyphenated(b); });
}

bool reads_as_any(std::string_view name, std::span<const std::string_view> known) {
  return std::any_of(known.begin(), known.end(),
                     [name](std::string_view one) { return reads_as(name, one); });
}

HopFields::HopFields(const HttpHead& head) {
  for (size_t i = 0; i < head.field_count(); ++i) {
    const HttpHead::Field field = head.field(i);
    if (equal_ignoring_case(field.name, "Connection")) add(field.value);
  }
}

bool HopFields::hold(std::string_view name) const {
  if (reads_as_any(name, kHopFields)) return true;
  if (reads_as(name.substr(0, 6), "Proxy-")) return true;
  return !named_.empty() && reads_as_any(name, named_);
}

void HopFields::add(std::string_view list) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view option = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    const bool about_itself =
        equal_ignoring_case(option, "keep-alive") || equal_ignoring_case(option, "close");
    if (!option.empty() && !about_itself) named_.push_back(option);
  }
}

}  // namespace kvasir
