#include "gateway/relay_head.h"

#include <cstdio>
#include <optional>

#include "base/text.h"
#include "gateway/request_bounds.h"
#include "net/http/hop_fields.h"
#include "net/http/proxy_head.h"
#include "wire/kv_transfer/router_members.h"

namespace kvasir {
namespace {

// Written by the gateway itself, so a worker's own are dropped.
bool is_ours(std::string_view name) {
  static constexpr std::string_view kOurs[] = {"x-selected-pod", "x-request-id",
                                               "x-scheduling-time-ms", "x-cache-prefix-length",
                                               "x-cache-knowledge"};
  return reads_as_any(name, kOurs);
}

bool is_added(std::string_view name, const RelayFields& added) {
  for (const auto& field : added.of_plugins) {
    if (equal_ignoring_case(name, field.first)) return true;
  }
  return false;
}

// Of a request: written by the gateway, or done with.
constexpr std::string_view kWrittenAnew[] = {"Host", "Expect", "x-request-id", kMaxRetriesHeader,
                                             kRequestTimeoutHeader};
// Written by the gateway when it sends both legs.
constexpr std::string_view kOfLegs[] = {"x-prefill-pod", "x-decode-pod", "x-prefill-time-ms"};

bool is_for_sidecars(std::string_view name) {
  const bool may_be = name.size() >= 15 && (name.front() | 0x20) == 'x';
  return may_be && reads_as_any(name, kSidecarFields);
}

}  // namespace

std::string upstream_request_head(const HttpHead& request, size_t body_bytes, std::string_view host,
                                  std::string_view request_id, const SidecarFields& sidecar) {
  std::string head = begin_relayed_request(request, host);
  const HopFields connection(request);
  for (size_t i = 0; i < request.field_count(); ++i) {
    const HttpHead::Field field = request.field(i);
    if (connection.hold(field.name) || reads_as_any(field.name, kWrittenAnew)) {
      continue;
    }
    if (!sidecar.keeps_clients && is_for_sidecars(field.name)) continue;
    append_field(head, field.name, field.value);
  }
  append_field(head, "x-request-id", request_id);
  if (!sidecar.prefiller.empty()) append_field(head, "x-prefiller-host-port", sidecar.prefiller);
  end_relayed_request(request, body_bytes, head);
  return head;
}

std::string relayed_fields(const HttpHead& answer, const RelayFields& added) {
  std::string fields;
  fields.reserve(512);
  const HopFields connection(answer);
  for (size_t i = 0; i < answer.field_count(); ++i) {
    const HttpHead::Field field = answer.field(i);
    if (connection.hold(field.name) || is_ours(field.name) || is_added(field.name, added)) continue;
    if (!added.of_legs.empty() && reads_as_any(field.name, kOfLegs)) continue;
    append_field(fields, field.name, field.value);
  }
  for (const auto& [name, value] : added.of_plugins) append_field(fields, name, value);
  append_field(fields, "x-request-id", added.request_id);
  append_field(fields, "x-selected-pod", added.selected_pod);
  char number[32];
  std::snprintf(number, sizeof number, "%.3f", added.scheduling_ms);
  append_field(fields, "x-scheduling-time-ms", number);
  append_field(fields, "x-cache-prefix-length", std::to_string(added.cache_prefix_tokens));
  if (added.cache_is_known) append_field(fields, "x-cache-knowledge", "exact");
  return fields.append(added.of_legs);
}

std::string relayed_head(const HttpHead& answer, const RelayFields& added, bool keep_alive) {
  return relayed_answer_head(answer, relayed_fields(answer, added), keep_alive);
}

}  // namespace kvasir
