// What an edit writes is an object again, in which each edited member is what it was set to.
#include <array>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "wire/json/json_edit.h"
#include "wire/json/json_value.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  constexpr std::array<std::string_view, 3> kKeys = {"a", "b", "c"};
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const kvasir::Result<kvasir::JsonEditor> editor = kvasir::JsonEditor::read(text, kKeys);
  if (!editor) return 0;
  std::vector<kvasir::JsonEdit> edits;
  unsigned how = data[0];
  for (const std::string_view key : kKeys) {
    if (how % 3 == 1) edits.push_back({key, std::nullopt});
    if (how % 3 == 2) edits.push_back({key, "[7]"});
    how /= 3;
  }
  const std::string written = editor->write(edits);
  if (!kvasir::is_json(text)) return 0;  // what is wrong inside a value is not looked for
  const kvasir::Result<kvasir::JsonEditor> again = kvasir::JsonEditor::read(written, kKeys);
  KVASIR_ASSERT(again.ok(), "an object stays an object");
  for (const kvasir::JsonEdit& edit : edits) {
    KVASIR_ASSERT(again->find(edit.key) == edit.value, "an edited member is what it was set to");
  }
  if (edits.empty()) KVASIR_ASSERT(written == text, "without edits nothing changes");
  return 0;
}
