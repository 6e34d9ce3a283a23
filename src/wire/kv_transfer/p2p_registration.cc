#include "wire/kv_transfer/p2p_registration.h"

#include <optional>

#include "wire/msgpack/msgpack_reader.h"
#include "wire/msgpack/msgpack_writer.h"

namespace kvasir {
namespace {

constexpr std::string_view kType = "type";
constexpr std::string_view kHttpAddress = "http_address";
constexpr std::string_view kZmqAddress = "zmq_address";

// Python's msgpack writes texts as texts; what reads as bytes is taken, too.
std::optional<std::string_view> text_of(const MsgpackItem& item) {
  const bool is_text = item.kind == MsgpackKind::kText || item.kind == MsgpackKind::kBytes;
  return is_text ? std::optional<std::string_view>(item.bytes) : std::nullopt;
}

Error wrong(std::string_view what) {
  return Error{std::string(what)};
}

Result<std::string> address_of(std::string_view name, std::string_view text) {
  if (text.empty()) return wrong(std::string(name) + " is missing");
  if (text.size() > kP2pAddressBytesMax) return wrong(std::string(name) + " is too long");
  return std::string(text);
}

}  // namespace

Result<P2pRegistration> read_p2p_registration(std::string_view message) {
  if (message.size() > kP2pRegistrationBytesMax) return wrong("it is too long");
  MsgpackReader reader(message);
  const MsgpackItem map = reader.next();
  if (map.kind != MsgpackKind::kMap) return wrong("it is no msgpack map");
  std::string_view type, http, zmq;
  for (uint64_t pair = 0; pair < map.number; ++pair) {
    const std::optional<std::string_view> key = text_of(reader.next());
    if (!key) return wrong("a key is no text");
    std::string_view* const wanted = *key == kType          ? &type
                                     : *key == kHttpAddress ? &http
                                     : *key == kZmqAddress  ? &zmq
                                                            : nullptr;
    if (wanted == nullptr) {
      if (!reader.skip()) return wrong("it ends too early");
      continue;
    }
    const std::optional<std::string_view> value = text_of(reader.next());
    if (!value) return wrong(std::string(*key) + " is no text");
    *wanted = *value;
  }
  if (!reader.rest().empty()) return wrong("something follows the map");
  if (type != "P" && type != "D") return wrong("type is neither P nor D");
  Result<std::string> http_address = address_of(kHttpAddress, http);
  if (!http_address) return http_address.error();
  Result<std::string> zmq_address = address_of(kZmqAddress, zmq);
  if (!zmq_address) return zmq_address.error();
  return P2pRegistration{type == "P" ? P2pRole::kPrefill : P2pRole::kDecode,
                         std::move(*http_address), std::move(*zmq_address)};
}

std::string write_p2p_registration(const P2pRegistration& registration) {
  std::string message;
  append_msgpack_map(message, 3);
  append_msgpack_text(message, kType);
  append_msgpack_text(message, registration.role == P2pRole::kPrefill ? "P" : "D");
  append_msgpack_text(message, kHttpAddress);
  append_msgpack_text(message, registration.http_address);
  append_msgpack_text(message, kZmqAddress);
  append_msgpack_text(message, registration.zmq_address);
  return message;
}

}  // namespace kvasir
