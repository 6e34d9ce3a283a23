// The bodies of the two legs of a request whose prompt is prefilled on one worker and whose answer
// is decoded on another, made from the client's bytes by splicing: what is not named here reaches
// both workers as it was sent.
//
// Source of the fields: llm-d's routing sidecar, by dialect; what it leaves on the prefill leg and
// ours does not is said at each function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/json/json_edit.h"
#include "wire/request/request_api.h"

namespace kvasir {

// How the two workers of a request learn of each other. The names are those of the sidecar's
// --kv-connector.
enum class KvDialect : uint8_t {
  kNixl,           // "nixl" (sidecars of 2025): members of the body itself
  kNixlV2,         // "nixlv2": kv_transfer_params, which the prefiller answers with
  kLmcache,        // "lmcache" (sidecars of 2025): a store that both read
  kSharedStorage,  // "shared-storage": the same, and the decoder may look there first
  kSglang,         // "sglang": bootstrap_host, bootstrap_port and bootstrap_room in both bodies
  kMooncake,       // "mooncake": kv_transfer_params on both legs
  kOffloading,     // "offloading": the same with other members
  // P2pNcclConnector: the request id names both. vLLM's proxy leaves the prefill leg a stream, in
  // which an engine's error has status 200; ours does not.
  kP2p,
  kFolder,  // ExampleConnector: nothing; both see a folder
};

// The APIs whose requests have two legs: completions, chat, responses, messages and vLLM's
// /inference/v1/generate.
bool has_two_legs(RequestApi api);

// What a dialect adds to one leg.
struct LegFields {
  // The value of kv_transfer_params, JSON; empty: it has none. Where the engine looks for it
  // depends on the API: /inference/v1/generate reads sampling_params.extra_args alone.
  std::string_view params = {};
  // More members of the body, JSON. kSglang: bootstrap_host, bootstrap_port, bootstrap_room. kNixl:
  // remote_block_ids, remote_engine_id, remote_host, remote_port.
  std::span<const JsonEdit> members = {};
};

// A request's body, read once. Views: the body must outlive it.
class LegBodies {
 public:
  // Precondition: has_two_legs(api). An error says what is no JSON object.
  static Result<LegBodies> read(RequestApi api, std::string_view body);

  bool stream() const;
  RequestApi api() const { return api_; }
  // Whether a prefiller's one token is the answer's first one, whoever decodes: a stream of one
  // completion or chat that takes the likeliest tokens (temperature 0), and whose text nothing
  // else cuts or rewrites.
  bool has_certain_first_token() const;
  // Whether the answer has usage.prompt_tokens_details: of completions and chats, unless it is a
  // stream that was not asked for a usage.
  bool says_cached_tokens() const;
  // Whether the client asks the decoder to look into its own caches first (shared-storage).
  bool has_cache_hit_threshold() const { return body_.find("cache_hit_threshold").has_value(); }

  // Whether only the decoder can answer, and with a prompt that it has computed itself: it goes on
  // from an answer that it keeps (previous_response_id), or tells the prompt's probabilities
  // (prompt_logprobs, echo with logprobs), for which engines read every prompt token.
  bool wants_one_worker() const;
  // Whether the request has several prompts, of which one handoff is the first's alone: engines
  // would give its blocks to all of them.
  bool has_several_prompts() const;
  // How many prompts there are when they stand in a list: of texts, or of lists of token ids.
  // nullopt: there is one.
  std::optional<size_t> prompts() const;
  // Whether the client says something of workers or their caches, which is to be removed.
  bool names_workers() const;

  // The prompt's leg: an answer of one token, whole, of one choice (kP2p: of as many as the decode
  // leg has, since engines find each one's blocks by its name), without what costs and changes
  // nothing of the prompt's KV (probabilities, an echo, a grammar of the answer, stop texts that
  // would end it without a handoff). The llm-d sidecar leaves all of the latter, and n, as sent.
  std::string prefill(KvDialect dialect, const LegFields& fields) const;
  // The answer's leg: as the client sent it but for what the dialect needs.
  std::string decode(KvDialect dialect, const LegFields& fields) const;
  // A decode leg that fetches what was handed over and answers nothing: a prefiller has no other
  // call that lets go of it.
  std::string release(KvDialect dialect, const LegFields& fields) const;
  // For a worker that does both. Every leg loses what a client says about workers and their caches:
  // a decoder would fetch KV from whom it names, and answer with another request's.
  std::string local() const;

 private:
  struct Edits;

  LegBodies(RequestApi api, JsonEditor body) : api_(api), body_(std::move(body)) {}

  // Of /inference/v1/generate: sampling_params. nullopt: the API has none, or they are no object.
  std::optional<JsonEditor> sampling_params() const;
  Edits of_decode(KvDialect dialect, const LegFields& fields) const;
  void end_after_one_token(KvDialect dialect, Edits& edits) const;
  std::string write(Edits edits) const;

  RequestApi api_;
  JsonEditor body_;
};

// kv_transfer_params of a prefill leg of nixlv2.
inline constexpr std::string_view kNixlPrefillParams =
    R"({"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,)"
    R"("remote_block_ids":null,"remote_host":null,"remote_port":null})";

}  // namespace kvasir
