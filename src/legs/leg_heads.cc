#include "legs/leg_heads.h"

#include "net/http/hop_fields.h"
#include "net/http/proxy_head.h"
#include "wire/kv_transfer/router_members.h"

namespace kvasir {
namespace {

// Written anew, or done with.
constexpr std::string_view kNotPassedOn[] = {"Host", "Expect", "x-request-id"};
constexpr std::string_view kTraceParent = "traceparent";
constexpr std::string_view kDataParallelRank = "X-data-parallel-rank";
constexpr std::string_view kAnswersOwn[] = {
    "x-request-id",     "x-prefill-pod",   "x-decode-pod",      "x-prefill-time-ms",
    "x-decode-time-ms", "x-total-time-ms", "x-tokens-generated"};

}  // namespace

std::string leg_head(const HttpHead& request, size_t body_bytes, const LegHeadFields& fields) {
  std::string head = begin_relayed_request(request, fields.host);
  const HopFields hop(request);
  for (size_t i = 0; i < request.field_count(); ++i) {
    const HttpHead::Field field = request.field(i);
    if (hop.hold(field.name) || reads_as_any(field.name, kNotPassedOn)) continue;
    if (reads_as_any(field.name, kSidecarFields)) continue;
    if (!fields.traceparent.empty() && reads_as(field.name, kTraceParent)) continue;
    if (fields.data_parallel_rank && reads_as(field.name, kDataParallelRank)) continue;
    append_field(head, field.name, field.value);
  }
  append_field(head, "x-request-id", fields.request_id);
  if (!fields.traceparent.empty()) append_field(head, kTraceParent, fields.traceparent);
  if (fields.data_parallel_rank) {
    append_field(head, kDataParallelRank, std::to_string(*fields.data_parallel_rank));
  }
  end_relayed_request(request, body_bytes, head);
  return head;
}

std::string answer_fields(const HttpHead& answer, std::string_view added) {
  std::string fields;
  fields.reserve(512);
  const HopFields hop(answer);
  for (size_t i = 0; i < answer.field_count(); ++i) {
    const HttpHead::Field field = answer.field(i);
    if (hop.hold(field.name) || reads_as_any(field.name, kAnswersOwn)) continue;
    append_field(fields, field.name, field.value);
  }
  return fields.append(added);
}

std::string answer_head(const HttpHead& answer, std::string_view added, bool keep_alive) {
  return relayed_answer_head(answer, answer_fields(answer, added), keep_alive);
}

}  // namespace kvasir
