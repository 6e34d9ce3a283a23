// The token ids of a prompt that came as ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kvasir {

enum class PromptIds : uint8_t {
  kOne,      // one prompt, whose ids are there
  kSeveral,  // a list of several prompts
  kNone,     // anything else: negative, a fraction, beyond 32 bits, beyond the limit
};

// `json`: the array as RequestPeek has it, of kTokenIds: ids, or one list of ids. Writes them to
// `ids`, whose content is undefined when there are none. Room that was reserved there is used: with
// as much as there are ids, nothing is copied.
PromptIds read_prompt_ids(std::string_view json, size_t ids_max, std::vector<uint32_t>& ids);
// Of kRawIds: one varint behind another.
PromptIds read_packed_ids(std::string_view varints, size_t ids_max, std::vector<uint32_t>& ids);

}  // namespace kvasir
