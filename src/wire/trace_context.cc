#include "wire/trace_context.h"

#include <algorithm>

#include "base/integer_text.h"
#include "base/random.h"

namespace kvasir {
namespace {

constexpr size_t kVersionAt = 0, kTraceAt = 3, kSpanAt = 36, kFlagsAt = 53, kFieldBytes = 55;

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char digit) {
    return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
  });
}

bool is_zero(std::string_view digits) {
  return digits.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::optional<TraceContext> read_traceparent(std::string_view field) {
  if (field.size() < kFieldBytes) return std::nullopt;
  const std::string_view version = field.substr(kVersionAt, 2), trace = field.substr(kTraceAt, 32),
                         span = field.substr(kSpanAt, 16), flags = field.substr(kFlagsAt, 2);
  const bool dashes = field[2] == '-' && field[kSpanAt - 1] == '-' && field[kFlagsAt - 1] == '-';
  if (!dashes || version == "ff") return std::nullopt;
  for (const std::string_view part : {version, trace, span, flags}) {
    if (!is_hexadecimal(part)) return std::nullopt;
  }
  const bool ends = field.size() == kFieldBytes || (version != "00" && field[kFieldBytes] == '-');
  if (!ends || is_zero(trace) || is_zero(span)) return std::nullopt;
  return TraceContext{std::string(trace), std::string(flags)};
}

TraceContext new_trace(Random& random) {
  return {hexadecimal(random.next() | 1) + hexadecimal(random.next()), "00"};
}

std::string traceparent(const TraceContext& trace, uint64_t span_id) {
  return "00-" + trace.trace_id + "-" + hexadecimal(span_id) + "-" + trace.flags;
}

}  // namespace kvasir
