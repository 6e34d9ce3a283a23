// Of any answer: what is usable has all that a decoder needs, and is a part of the answer.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "wire/kv_transfer/prefill_handoff.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view answer(reinterpret_cast<const char*>(data), size);
  const kvasir::PrefillHandoff handoff = kvasir::read_nixl_v2_handoff(answer);
  const bool usable = handoff.state == kvasir::PrefillHandoff::State::kUsable;
  if (usable) {
    KVASIR_ASSERT(handoff.blocks > 0 && handoff.port > 0 && !handoff.host.empty() &&
                      !handoff.engine_id.empty(),
                  "a decoder finds the blocks");
    KVASIR_ASSERT(handoff.params.data() >= answer.data() &&
                      handoff.params.data() + handoff.params.size() <= answer.data() + size,
                  "the handoff is a part of the answer");
  }
  KVASIR_ASSERT(
      handoff.problem.empty() != (handoff.state == kvasir::PrefillHandoff::State::kInvalid),
      "what is invalid has a reason");
  kvasir::read_nixl_handoff(answer);
  const kvasir::NixlLegParams leg = kvasir::read_nixl_leg_params(answer);
  const bool fetches = leg.handoff.state == kvasir::PrefillHandoff::State::kUsable;
  KVASIR_ASSERT(fetches ? leg.block_ids.size() == leg.handoff.blocks : leg.block_ids.empty(),
                "what can be fetched has its blocks");
  return 0;
}
