// A question to a KV-cache manager in bytes: POST /api/v1/match, for pickers on other machines that
// have a prompt's tokens and want no JSON of a hundred thousand numbers. All integers are
// little-endian.
//
//   question: "KVM1", u32 tokens of a block, u32 blocks, u16 bytes of `model`, u16 bytes of
//             `cache_salt`, u16 pods, u16 zero; `model`; `cache_salt`; for each pod u16 bytes and
//             its name; for each block u64: block_content() (hashing/token_blocks.h), which is
//             XXH3_64 of its token ids as 32-bit integers
//   answer:   "KVM1", u32 pods; for each pod u16 bytes and its name, u8 1: known, 0: nothing exact
//             is known of it; u32 tokens of the prompt that it has, u32 of them that the
//             GPU's cache has
//
// No pods in the question: all. `model` names an adapter if it is one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct MatchQuestion {
  uint32_t block_tokens = 0;
  std::string model;
  std::string cache_salt;
  std::vector<std::string> pods;
  std::vector<uint64_t> contents;
};
struct MatchAnswer {
  struct Pod {
    std::string name;
    bool known = false;
    uint32_t tokens = 0;
    uint32_t gpu_tokens = 0;

    bool operator==(const Pod&) const = default;
  };
  std::vector<Pod> pods;
};

inline constexpr uint32_t kMatchBlocksMax = 1024 * 1024;

// Precondition: names are shorter than 64 KiB, and there are fewer than 65,536 pods.
std::string write_match_question(const MatchQuestion& question);
std::string write_match_answer(const MatchAnswer& answer);
// The error says what is wrong and at which byte.
Result<MatchQuestion> read_match_question(std::string_view bytes);
Result<MatchAnswer> read_match_answer(std::string_view bytes);

}  // namespace kvasir
