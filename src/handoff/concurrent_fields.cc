#include "handoff/concurrent_fields.h"

#include "base/integer_text.h"
#include "handoff/two_legs.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

// Below 2^63: engines read a room as a signed number.
constexpr uint64_t kRoomMask = (uint64_t{1} << 63) - 1;

}  // namespace

ConcurrentFields::ConcurrentFields(KvDialect dialect, const PrefillCandidate& prefiller,
                                   uint64_t unique)
    : dialect_(dialect),
      port_(std::to_string(prefiller.side_port)),
      room_(std::to_string(unique & kRoomMask)) {
  append_json_string(prefiller.host, host_);
  const std::string id = "{\"kv_request_id\":\"" + hexadecimal(unique) + "\"";
  prefill_params_ = "{\"remote_decoder\":" + id + "}}";
  decode_params_ = "{\"remote_prefiller\":" + id + ",\"remote_host\":" + host_ +
                   ",\"remote_port\":" + port_ + "}}";
  room_members_ = {
      {{"bootstrap_host", host_}, {"bootstrap_port", port_}, {"bootstrap_room", room_}}};
}

LegFields ConcurrentFields::prefill() const {
  if (dialect_ == KvDialect::kSglang) return {{}, room_members_};
  return {prefill_params_, {}};
}

LegFields ConcurrentFields::decode() const {
  if (dialect_ == KvDialect::kSglang) return {{}, room_members_};
  return {decode_params_, {}};
}

}  // namespace kvasir
