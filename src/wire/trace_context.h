// W3C trace context: the traceparent field, by which the spans of one request find each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

class Random;

struct TraceContext {
  std::string trace_id;  // 32 hexadecimal digits
  std::string flags;     // two
};

// Of version 00, or of what a later version says in its place. nullopt: it is none, and whoever
// traces begins a new trace.
std::optional<TraceContext> read_traceparent(std::string_view field);
// With the bit of a trace that nobody has asked to record.
TraceContext new_trace(Random& random);

// A field for a call that is the span of `span_id`, which is not 0.
std::string traceparent(const TraceContext& trace, uint64_t span_id);

}  // namespace kvasir
