#include "handoff/concurrent_fields.h"

#include "base/integer_text.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

// Below 2^63: engines read a room as a signed number.
constexpr uint64_t kRoomMask = (uint64_t{1} << 63) - 1;

std::string quoted(std::string_view text) {
  std::string json;
  append_json_string(text, json);
  return json;
}

std::string kv_request_id(uint64_t unique) {
  return "\"kv_request_id\":\"" + hexadecimal(unique) + "\"";
}

// IPv6 in brackets.
std::string url_of(const PrefillCandidate& worker) {
  const bool is_v6 = worker.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + worker.host + "]" : worker.host;
  return "http://" + host + ":" + std::to_string(worker.side_port);
}

}  // namespace

std::string offloading_peer(uint64_t unique, const PrefillCandidate& worker) {
  return "{" + kv_request_id(unique) + ",\"remote_host\":" + quoted(worker.host) +
         ",\"remote_port\":" + std::to_string(worker.side_port) + "}";
}

ConcurrentFields::ConcurrentFields(KvDialect dialect, const PrefillCandidate& prefiller,
                                   const Request& request) {
  switch (dialect) {
    case KvDialect::kSglang:
      write_rooms(prefiller, request);
      break;
    case KvDialect::kMooncake:
      write_mooncake(prefiller, request);
      break;
    default:
      write_offloading(prefiller, request);
  }
}

void ConcurrentFields::write_rooms(const PrefillCandidate& prefiller, const Request& request) {
  const std::string host = quoted(prefiller.host), port = std::to_string(prefiller.side_port);
  const auto room = [&](size_t i) { return std::to_string((request.unique + i) & kRoomMask); };
  if (!request.prompts) {
    host_ = host, port_ = port, room_ = room(0);
  } else {
    host_ = port_ = room_ = "[";
    for (size_t i = 0; i < *request.prompts; ++i) {
      const char* const comma = i == 0 ? "" : ",";
      host_.append(comma).append(host);
      port_.append(comma).append(port);
      room_.append(comma).append(room(i));
    }
    host_ += "]", port_ += "]", room_ += "]";
  }
  has_rooms_ = true;
  room_members_ = {
      {{"bootstrap_host", host_}, {"bootstrap_port", port_}, {"bootstrap_room", room_}}};
}

void ConcurrentFields::write_mooncake(const PrefillCandidate& prefiller, const Request& request) {
  const std::string id = "\"transfer_id\":\"xfer-" + hexadecimal(request.unique) + "-" +
                         std::to_string(request.attempt) + "\"";
  prefill_params_ = "{\"do_remote_prefill\":false,\"do_remote_decode\":true," + id + "}";
  decode_params_ = "{\"do_remote_prefill\":true,\"do_remote_decode\":false," + id +
                   ",\"remote_bootstrap_addr\":" + quoted(url_of(prefiller)) +
                   ",\"remote_engine_id\":" + quoted(request.engine.id) + "}";
}

void ConcurrentFields::write_offloading(const PrefillCandidate& prefiller,
                                        const Request& request) {
  prefill_params_ = "{\"remote_decoder\":{" + kv_request_id(request.unique) + "}";
  if (request.source != nullptr) {
    prefill_params_ += ",\"remote_kv_source\":" + offloading_peer(request.unique, *request.source);
  }
  prefill_params_ += "}";
  decode_params_ = "{\"remote_prefiller\":" + offloading_peer(request.unique, prefiller) + "}";
}

LegFields ConcurrentFields::prefill() const {
  if (has_rooms_) return {{}, room_members_};
  return {prefill_params_, {}};
}

LegFields ConcurrentFields::decode() const {
  if (has_rooms_) return {{}, room_members_};
  return {decode_params_, {}};
}

}  // namespace kvasir
