// What is taken for ids is what a reader of JSON reads, and no list of ids is missed.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/assert.h"
#include "wire/request/prompt_ids.h"

namespace kvasir {
namespace {

using Ids = std::vector<uint32_t>;
using Json = nlohmann::json;

std::optional<Ids> ids_of(const Json& list) {
  if (!list.is_array()) return std::nullopt;
  Ids ids;
  for (const Json& item : list) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > UINT32_MAX) return std::nullopt;
    ids.push_back(item.get<uint32_t>());
  }
  return ids;
}

}  // namespace
}  // namespace kvasir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Ids ids, packed;
  const bool taken = read_prompt_ids(text, size, ids) == PromptIds::kOne;
  static_cast<void>(read_packed_ids(text, size, packed));
  // That reader takes a byte order mark, and a zero byte for the end.
  if (text.find('\0') != std::string_view::npos || text.substr(0, 1) == "\xef") return 0;
  const Json json = Json::parse(text, nullptr, false);
  std::optional<Ids> expected = json.is_discarded() ? std::nullopt : ids_of(json);
  if (!expected && json.is_array() && json.size() == 1) expected = ids_of(json[0]);
  KVASIR_ASSERT(taken == expected.has_value(), "the same lists are ids");
  KVASIR_ASSERT(!taken || ids == *expected, "and the same ids");
  return 0;
}
