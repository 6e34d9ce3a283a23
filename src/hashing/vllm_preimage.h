// What vLLM hashes of a block, as the bytes that Python's pickle and cbor2 make of it: the tuple
// (parent digest, tuple of tokens, None or tuple of extra keys). Private to hashing/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kvasir {

// A text by itself, or a tuple. A tag is a constant of vLLM's source: the same object each time,
// which pickle writes only once.
struct VllmExtraKey {
  std::string_view tag = {};  // first of the tuple; empty: none
  std::vector<std::variant<std::string_view, int64_t>> parts = {};
  bool is_tuple = true;
};

struct VllmBlock {
  std::string_view parent;
  std::span<const uint32_t> tokens;
  std::span<const VllmExtraKey> keys;  // empty: None
};

// They append. Precondition of the pickles: less than 64 KiB, of which pickle makes one frame.
void append_cbor(const VllmBlock& block, std::string& out);
void append_pickle(const VllmBlock& block, std::string& out);
void append_cbor(std::string_view text, std::string& out);
void append_pickle(std::string_view text, std::string& out);

}  // namespace kvasir
