// No text breaks the parser, and whatever it accepts makes a step model with sane times.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "timing/step_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto profile = kvasir::parse_engine_profile(text, "fuzz");
  if (!profile) {
    KVASIR_ASSERT(!profile.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  KVASIR_ASSERT(profile->kv_blocks() > 0, "an engine has a block");
  const double seconds =
      kvasir::StepModel(profile->step)
          .prefill_seconds(profile->max_model_len, 0, profile->max_num_batched_tokens);
  KVASIR_ASSERT(std::isfinite(seconds) && seconds >= 0, "a prefill takes some time");
  return 0;
}
