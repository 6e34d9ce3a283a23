#include "wire/kv_transfer/bootstrap_engines.h"

#include <algorithm>

#include "base/integer_text.h"
#include "base/text.h"
#include "wire/json/json_cursor.h"
#include "wire/json/json_edit.h"

namespace kvasir {
namespace {

constexpr size_t kRanksMost = 4096;
constexpr std::string_view kEngineKeys[] = {"engine_id"};

// Empty: there is none.
std::string engine_id_of(std::string_view rank) {
  const Result<JsonEditor> members = JsonEditor::read(rank, kEngineKeys);
  if (!members) return "";
  const std::string_view id = members->find("engine_id").value_or("");
  if (id.size() < 2 || id.front() != '"') return "";
  return json_unescaped(id.substr(1, id.size() - 2));
}

}  // namespace

Result<std::vector<PrefillEngine>> read_bootstrap_engines(std::string_view answer) {
  std::vector<PrefillEngine> engines;
  answer.remove_prefix(std::min(answer.find_first_not_of(kJsonSpace), answer.size()));
  JsonMembers ranks(answer);
  while (ranks.next()) {
    const auto rank = integer_of<uint32_t>(ranks.key());
    if (!rank) return Error{"the bootstrap server names a rank that is not a number"};
    std::string id = engine_id_of(ranks.value());
    if (id.empty()) {
      return Error{"the bootstrap server has no engine_id for rank " + std::to_string(*rank)};
    }
    if (engines.size() == kRanksMost) return Error{"the bootstrap server names too many ranks"};
    engines.push_back({std::move(id), *rank});
  }
  if (ranks.malformed()) return Error{"the bootstrap server's answer is not a JSON object"};
  if (engines.empty()) return Error{"the bootstrap server knows no engine"};
  return engines;
}

}  // namespace kvasir
