// Writes the simulated vocabulary as files that Hugging Face tokenizers and transformers load, so that
// clients which count tokens themselves (AIPerf) count what the worker counts. They give encode()'s
// tokens for every text but those that hold kEndOfSequenceText, which they split into bytes without
// looking for words in it. Checked by tests/clients/check_tokenizer.py.
#pragma once

#include <string>

#include "base/result.h"

namespace kvasir {

// The text of tokenizer.json (Hugging Face tokenizers format) and of tokenizer_config.json (class, special
// tokens, and a chat template that renders messages as wire/chat_prompt does).
std::string tokenizer_json();
std::string tokenizer_config_json();

// Writes both files into `directory`, which is made when missing.
Result<void> write_tokenizer(const std::string& directory);

}  // namespace kvasir
