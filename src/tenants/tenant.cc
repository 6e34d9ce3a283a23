#include "tenants/tenant.h"

#include <algorithm>

namespace kvasir {
namespace {

// Goes back to the last '*' only: any earlier one had what it needed.
bool matches(std::string_view pattern, std::string_view text) {
  size_t at = 0;
  size_t in_pattern = 0;
  size_t star = std::string_view::npos;
  size_t star_took_to = 0;
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      star_took_to = at;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == text[at]) {
      ++in_pattern;
      ++at;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      at = ++star_took_to;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

}  // namespace

bool Tenant::may_use(std::string_view model) const {
  if (models.empty()) return true;
  return !model.empty() && std::any_of(models.begin(), models.end(),
                                       [&](const std::string& one) { return matches(one, model); });
}

}  // namespace kvasir
