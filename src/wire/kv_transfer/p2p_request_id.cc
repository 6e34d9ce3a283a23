#include "wire/kv_transfer/p2p_request_id.h"

#include <algorithm>

#include "base/integer_text.h"
#include "base/text.h"

namespace kvasir {
namespace {

constexpr std::string_view kPrefillMark = "___prefill_addr_";
constexpr std::string_view kDecodeMark = "___decode_addr_";
constexpr std::string_view kEnd = "___";

size_t digits_from(std::string_view text, size_t at) {
  const size_t begin = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  return at - begin;
}

// Python's re.search of `mark(.*):(\d+)end`: the first mark, then the last colon behind it that
// digits and `end` follow.
std::optional<P2pAddress> search_address(std::string_view id, std::string_view mark,
                                         std::string_view end) {
  if (id.size() > kP2pRequestIdBytesMax) return std::nullopt;
  for (size_t at = id.find(mark); at != std::string_view::npos; at = id.find(mark, at + 1)) {
    const std::string_view rest = id.substr(at + mark.size());
    for (size_t colon = rest.rfind(':'); colon != std::string_view::npos;
         colon = colon == 0 ? std::string_view::npos : rest.rfind(':', colon - 1)) {
      const size_t digits = digits_from(rest, colon + 1);
      if (digits == 0 || rest.substr(colon + 1 + digits, end.size()) != end) continue;
      const auto port = integer_of<uint16_t>(rest.substr(colon + 1, digits));
      if (!port || *port == 0) return std::nullopt;  // a pattern takes it, no socket does
      return P2pAddress{std::string(rest.substr(0, colon)), *port};
    }
  }
  return std::nullopt;
}

}  // namespace

std::string p2p_request_id(std::string_view prefill, std::string_view decode,
                           std::string_view unique) {
  std::string id(kPrefillMark);
  id.append(prefill).append(kDecodeMark).append(decode).append("_").append(unique);
  return id;
}

std::optional<P2pAddress> p2p_prefill_address(std::string_view id) {
  return search_address(id, kPrefillMark, kEnd);
}

std::optional<P2pAddress> p2p_decode_address(std::string_view id) {
  return search_address(id, kDecodeMark, "");
}

std::optional<P2pPair> p2p_pair(std::string_view id) {
  const size_t prefill = id.find(kPrefillMark);
  if (prefill == std::string_view::npos) return std::nullopt;
  const size_t begin = prefill + kPrefillMark.size();
  const size_t decode = id.find(kDecodeMark, begin);
  if (decode == std::string_view::npos) return std::nullopt;
  const std::string_view rest = id.substr(decode + kDecodeMark.size());
  const size_t unique = rest.rfind('_');
  if (unique == std::string_view::npos) return std::nullopt;
  return P2pPair{id.substr(begin, decode - begin), rest.substr(0, unique), rest.substr(unique + 1)};
}

std::optional<std::string_view> p2p_request_key(std::string_view id) {
  const std::optional<P2pPair> pair = p2p_pair(id);
  if (!pair || id.size() > kP2pRequestIdBytesMax) return std::nullopt;
  const std::string_view unique = pair->unique;
  constexpr size_t kDashed = 36;
  size_t size = std::min(kDashed, unique.size());
  for (size_t i = 0; i < size; ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? unique[i] != '-' : hex_value(unique[i]) < 0) size = 0;
  }
  if (size != kDashed) {
    size = 0;
    while (size < unique.size() && (is_letter(unique[size]) || is_digit(unique[size]))) ++size;
  }
  if (size == 0) return std::nullopt;
  const size_t begin = id.find(kPrefillMark);
  return id.substr(begin, static_cast<size_t>(unique.data() - id.data()) + size - begin);
}

}  // namespace kvasir
