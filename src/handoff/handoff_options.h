// How the two legs of a request are sent, and what happens when one fails.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {

struct HandoffOptions {
  KvDialect dialect = KvDialect::kNixlV2;
  // Of every prefill worker, where the decoder's engine finds it, with the dialects of these names.
  uint16_t sglang_bootstrap_port = 8998;
  uint16_t mooncake_bootstrap_port = 8998;
  uint16_t offloading_port = 7777;
  uint16_t side_port() const {
    if (dialect == KvDialect::kOffloading) return offloading_port;
    return dialect == KvDialect::kMooncake ? mooncake_bootstrap_port : sglang_bootstrap_port;
  }

  // A prefill leg that has not answered after `prefill_deadline` and so much for each token of the
  // prompt has failed. The llm-d sidecar waits for ever; these values are ours, and no measurement.
  Duration prefill_deadline = std::chrono::seconds(30);
  Duration prefill_deadline_per_token = std::chrono::microseconds(500);

  // How many prefill workers one request is sent to, one after another, as long as none answered.
  // Never a second one once one answered with 200: a prefill is paid for once.
  size_t prefill_attempts_most = 3;
  // The same prefill worker is asked again when it could not be reached, broke off or answered 502,
  // 503 or 504: so many times, each after `prefill_retry_backoff`. Then the next one is.
  uint32_t prefill_retries_most = 0;
  Duration prefill_retry_backoff = std::chrono::milliseconds(200);
  // A second prefill worker is asked when the first has not answered for so long, and the first
  // answer counts. 0: never.
  Duration hedge_after = Duration::zero();

  // When no prefill worker is left.
  enum class OnPrefillFailure : uint8_t {
    kError,        // the client hears of it (llm-d since 2026-06-12)
    kLocalDecode,  // the decoder prefills, too (llm-d before)
  };
  OnPrefillFailure on_prefill_failure = OnPrefillFailure::kError;

  // When a prefill worker answers with 200 and hands nothing over: its engine is not set up for
  // it. The decoder would compute the prompt again, and nobody would know.
  enum class OnNoHandoff : uint8_t { kLocalDecode, kError };
  OnNoHandoff on_no_handoff = OnNoHandoff::kLocalDecode;

  // An engine that returns which experts a model routed each token to answers with megabytes.
  size_t prefill_answer_bytes_max = size_t{16} << 20;
};

}  // namespace kvasir
