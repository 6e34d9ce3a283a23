#include "wire/kv_digest.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/integer_text.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

Result<uint64_t> read_digits(const nlohmann::json& value) {
  const std::string* digits = value.get_ptr<const std::string*>();
  uint64_t number = 0;
  if (digits == nullptr || digits->size() != 16) return Error{"not 16 hexadecimal digits"};
  const char* const end = digits->data() + digits->size();
  const auto [stopped, error] = std::from_chars(digits->data(), end, number, 16);
  if (error != std::errc() || stopped != end) return Error{"not 16 hexadecimal digits"};
  return number;
}

Result<KvDigest> read_digest(const nlohmann::json& pod) {
  if (!pod.is_object()) return Error{"not an object"};
  const auto digest = pod.find("digest");
  const auto blocks = pod.find("blocks");
  const auto stamp = pod.find("stamp");
  if (digest == pod.end()) return Error{"no \"digest\""};
  const Result<uint64_t> number = read_digits(*digest);
  if (!number) return number.error();
  if (blocks == pod.end() || !blocks->is_number_unsigned()) return Error{"no \"blocks\""};
  if (stamp == pod.end() || !stamp->is_number()) return Error{"no \"stamp\""};
  return KvDigest{*number, blocks->get<uint64_t>(), stamp->get<double>()};
}

}  // namespace

std::string write_kv_digests(const KvDigests& pods) {
  std::string text = "{\"pods\":{";
  for (const auto& [name, digest] : pods) {
    if (text.back() != '{') text.push_back(',');
    append_json_string(name, text);
    text.append(":{\"digest\":\"").append(hexadecimal(digest.digest)).append("\",\"blocks\":");
    append_number(static_cast<int64_t>(digest.blocks), text);
    text.append(",\"stamp\":");
    append_real(digest.stamp, text);
    text.push_back('}');
  }
  return text.append("}}\n");
}

Result<KvDigests> read_kv_digests(std::string_view text) {
  const nlohmann::json whole = nlohmann::json::parse(text, nullptr, false);
  if (!whole.is_object()) return Error{"not a JSON object"};
  const auto pods = whole.find("pods");
  if (pods == whole.end() || !pods->is_object()) return Error{"no \"pods\""};
  KvDigests digests;
  for (const auto& [name, pod] : pods->items()) {
    const Result<KvDigest> digest = read_digest(pod);
    if (!digest) return Error{"pod \"" + name + "\": " + digest.error().message};
    digests.emplace(name, *digest);
  }
  return digests;
}

}  // namespace kvasir
