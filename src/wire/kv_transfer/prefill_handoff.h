// What a prefiller answers with for the decoder: kv_transfer_params of vLLM's NixlConnector, in all
// of its generations, and the same as members of the answer ("nixl" of 2025).
//
// The decoder gets the value back byte for byte; it is read here only to find out whether the
// decoder could use it. A decoder that cannot computes the prompt again without a word, or fails.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

struct PrefillHandoff {
  enum class State : uint8_t {
    kUsable,
    kEmpty,    // it names no blocks, as older engines do of a prompt shorter than one
    kNone,     // the answer has none, or null: the prefiller keeps nothing for anybody
    kInvalid,  // `problem` says why no decoder can use it
  };
  State state = State::kNone;
  std::string problem = {};
  // As it stands in the answer; a view of it. Of members of the answer: empty.
  std::string_view params = {};

  std::string engine_id = {};
  std::string request_id = {};  // the prefiller's own; empty in the first generation
  std::string host = {};        // of the side channel
  uint16_t port = 0;
  uint64_t blocks = 0;                  // of all KV groups together
  std::optional<uint64_t> tokens = {};  // remote_num_tokens
  std::optional<uint64_t> cached_tokens = {};  // of the prompt, as the answer's usage says
  bool push = false;                    // transfer_mode "push": the prefiller writes to the decoder
};

// Of the whole answer of a prefill leg. `answer`: must outlive the result.
PrefillHandoff read_nixl_v2_handoff(std::string_view answer);

// Of the first dialect; the members that decode gets back are views of the answer.
struct NixlMembers {
  PrefillHandoff handoff;
  std::string_view block_ids = {}, engine_id = {}, host = {}, port = {};
};
NixlMembers read_nixl_handoff(std::string_view answer);

// kv_transfer_params as a worker gets them with a request, of either leg.
struct NixlLegParams {
  bool keeps = false;    // do_remote_decode: its blocks are to be offered
  bool fetches = false;  // do_remote_prefill: they are `handoff`'s, which a fetch needs as kUsable
  PrefillHandoff handoff = {};
  std::vector<uint32_t> block_ids = {};  // of its one KV group
};

// `params`: the object alone; the handoff's `params` stay empty. What is no JSON object asks for
// nothing.
NixlLegParams read_nixl_leg_params(std::string_view params);

// What a prefiller answers with: kv_transfer_params of vLLM 0.32.0, member for member.
struct NixlOfferText {
  std::string_view engine_id, request_id, host;
  uint16_t port = 0;
  uint64_t tokens = 0;         // of the prompt
  uint64_t cached_tokens = 0;  // of those, found in a cache by the prefiller
};
std::string write_nixl_offer(const NixlOfferText& offer, std::span<const uint32_t> block_ids);

}  // namespace kvasir
