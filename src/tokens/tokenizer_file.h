// A tokenizer.json of Hugging Face's tokenizers, as far as it says how to encode with a byte-level
// BPE model.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tokens/added_tokens.h"
#include "tokens/word_splitter.h"

namespace kvasir {

struct TokenizerLimits {
  size_t file_bytes = 128 * 1024 * 1024;
  size_t vocabulary = 2 * 1024 * 1024;  // entries, and the largest id
  size_t merges = 4 * 1024 * 1024;
  size_t added_tokens = 128 * 1024;
  size_t token_bytes = 4096;    // of one token's text
  size_t splits = 4;            // pre-tokenizers of one file
  size_t template_tokens = 64;  // that are put before and behind a text
  // Of a text that is tokenized: longer ones are refused.
  size_t text_bytes = 64 * 1024 * 1024;
};

struct TokenizerFile {
  std::vector<std::pair<std::string, uint32_t>>
      vocabulary;  // texts in letters of the byte alphabet
  struct Merge {
    uint32_t left;
    uint32_t right;
    uint32_t merged;
  };
  std::vector<Merge> merges;             // in their order
  std::vector<AddedToken> added_tokens;  // special ones first
  bool nfc = false;
  std::vector<SplitRules> splits;  // one after another
  bool prefix_space = false;       // a text begins with a space
  bool ignore_merges = false;      // a word of the vocabulary is that token
  std::optional<uint32_t>
      unknown;                // for bytes that the vocabulary does not have; nullopt: left out
  bool fuse_unknown = false;  // one for several in a row
  // Special tokens that the post-processor adds.
  std::vector<uint32_t> before_text;
  std::vector<uint32_t> behind_text;
};

// The error names what is wrong, or what this reader does not do. Truncation, padding and the
// decoder are not looked at.
Result<TokenizerFile> read_tokenizer_file(std::string_view json, const TokenizerLimits& limits);

}  // namespace kvasir
