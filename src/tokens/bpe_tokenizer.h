// Text to token ids as Hugging Face's tokenizers does it for byte-level BPE models: GPT-2, Llama-3,
// Qwen and their kin, from their tokenizer.json. The ids are the same, to the last one.
//
// What a file asks for and this does not do is an error of load(), never another id.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokens/tokenizer_file.h"

namespace kvasir {

// Immutable after load(): encode() and decode() may be called on several threads at once.
class BpeTokenizer {
 public:
  // `json`: the text of a tokenizer.json. Some hundred milliseconds for a large one.
  static Result<std::unique_ptr<BpeTokenizer>> load(std::string_view json,
                                                    const TokenizerLimits& limits = {});
  ~BpeTokenizer();
  BpeTokenizer(const BpeTokenizer&) = delete;
  BpeTokenizer& operator=(const BpeTokenizer&) = delete;

  // Appends the text's tokens. Bytes that are not UTF-8 count as U+FFFD, as Python decodes them.
  // `add_special_tokens`: with what the file's post-processor puts before and behind a text.
  // False: the text is longer than the limit, and nothing was appended.
  bool encode(std::string_view text, std::vector<uint32_t>& ids, bool add_special_tokens) const;

  // The bytes of the tokens, one after another; an id that there is not has none.
  std::string decode(const std::vector<uint32_t>& ids) const;

  // One more than the largest id.
  uint32_t vocabulary_size() const;

 private:
  struct Parts;
  explicit BpeTokenizer(std::unique_ptr<const Parts> parts);

  const std::unique_ptr<const Parts> parts_;
};

}  // namespace kvasir
