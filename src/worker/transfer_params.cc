#include "worker/transfer_params.h"

#include <charconv>

#include "base/text.h"
#include "wire/json/json_cursor.h"

namespace kvasir {

std::string_view transfer_params_of(std::string_view body) {
  std::string_view params;
  JsonMembers members(trimmed(body, kJsonSpace));
  while (members.next()) {
    if (members.key() == "kv_transfer_params") params = members.value();
  }
  if (params.empty() || params.front() != '{') return {};
  return JsonMembers(params).next() ? params : std::string_view();
}

std::optional<uint64_t> prefiller_cached_tokens(std::string_view params) {
  if (params.empty()) return std::nullopt;
  bool prefilled = false;
  std::optional<uint64_t> cached;
  JsonMembers members(params);
  while (members.next()) {
    const std::string_view value = members.value();
    if (members.key() == "do_remote_prefill") prefilled = value == "true";
    if (members.key() != "remote_prefill_cached_tokens") continue;
    uint64_t count = 0;
    const char* const end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, count);
    cached = std::nullopt;
    if (read.ec == std::errc() && read.ptr == end) cached = count;
  }
  return prefilled ? cached : std::nullopt;
}

}  // namespace kvasir
