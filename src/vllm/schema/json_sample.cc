#include "vllm/schema/json_sample.h"

#include <optional>

#include "base/random.h"
#include "vllm/schema/json_maker.h"

namespace kvasir {
namespace {

constexpr int kAttempts = 24;

std::optional<std::string> text_of(const JsonValue& schema, const JsonSampleLimits& limits,
                                   uint64_t seed) {
  uint64_t steps = limits.steps_most;
  for (int attempt = 0; attempt < kAttempts && steps > 0; ++attempt) {
    // Every other attempt takes the simplest way, which is most often open.
    const bool plain = attempt % 4 == 3;
    JsonSampleLimits left = limits;
    left.steps_most = steps;
    JsonMaker maker(schema, left, mix64(seed + static_cast<uint64_t>(attempt) * 0x9e37), plain);
    const std::optional<JsonValue> value = maker.make();
    steps = maker.steps();
    if (!value || !fits_json_schema(*value, schema, schema, steps)) continue;
    std::string text;
    append_json(*value, true, text);
    if (text.size() <= limits.bytes_most) return text;
  }
  return std::nullopt;
}

}  // namespace

Result<JsonSampler> JsonSampler::create(std::shared_ptr<const JsonValue> schema,
                                        const JsonSampleLimits& limits) {
  if (const std::optional<std::string> problem = check_json_schema(*schema)) {
    return Error{*problem};
  }
  JsonSampler sampler(std::move(schema), limits);
  for (uint64_t seed = 0; seed < 2; ++seed) {
    std::optional<std::string> text = text_of(*sampler.schema_, limits, seed);
    if (!text) continue;
    sampler.first_ = std::move(*text);
    return sampler;
  }
  return Error{"no answer of at most " + std::to_string(limits.values_most) + " values and " +
               std::to_string(limits.bytes_most) + " bytes was found that fits it"};
}

std::string JsonSampler::text(uint64_t seed) const {
  return text_of(*schema_, limits_, mix64(seed)).value_or(first_);
}

}  // namespace kvasir
