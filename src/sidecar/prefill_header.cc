#include "sidecar/prefill_header.h"

#include <algorithm>

#include "base/text.h"
#include "net/http/hop_fields.h"
#include "net/http/http_head.h"
#include "net/io/flag_address.h"

namespace kvasir {
namespace {

constexpr size_t kQuotedBytesMost = 64;

Error no_candidate(std::string_view text) {
  return Error{std::string(kPrefillerHeader) + ": '" +
               std::string(text.substr(0, kQuotedBytesMost)) + "' is not HOST:PORT"};
}

Result<HostPort> candidate(std::string_view text) {
  Result<HostPort> parsed = parse_address(text, "HOST:PORT");
  if (!parsed || parsed->port == 0) return no_candidate(text);
  return parsed;
}

}  // namespace

Result<std::vector<HostPort>> prefill_candidates(const HttpHead& request, size_t most) {
  std::vector<std::string_view> lines;
  for (size_t i = 0; i < request.field_count(); ++i) {
    const HttpHead::Field field = request.field(i);
    if (reads_as(field.name, kPrefillerHeader)) lines.push_back(trimmed(field.value));
  }
  if (lines.size() == 1) {
    std::string_view list = lines.front();
    lines.clear();
    while (!list.empty()) {
      const size_t comma = std::min(list.find(','), list.size());
      lines.push_back(trimmed(list.substr(0, comma)));
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  std::vector<HostPort> candidates;
  for (const std::string_view line : lines) {
    if (line.empty()) continue;
    Result<HostPort> read = candidate(line);
    if (!read) return read.error();
    const auto same = [&read](const HostPort& known) {
      return known.host == read->host && known.port == read->port;
    };
    if (std::any_of(candidates.begin(), candidates.end(), same)) continue;
    if (candidates.size() == most) break;
    candidates.push_back(std::move(*read));
  }
  return candidates;
}

std::optional<HostPort> kv_source_of(const HttpHead& request) {
  const Result<HostPort> source = candidate(request.find(kSourceHeader).value_or(""));
  return source ? std::optional<HostPort>(*source) : std::nullopt;
}

}  // namespace kvasir
