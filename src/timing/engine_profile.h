// An EngineProfile: the sizes and the step times of one model on one machine. Profiles are data: JSON
// files, some of them built in (the folder profiles/).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kvasir {

// The coefficients of StepModel; milliseconds. Source of the formula: timing/step_model.h. What a
// profile does not say takes no time.
struct StepTimes {
  double overhead_ms = 0;
  // Everything but attention and sampling, by tokens in the step, ascending; linear between the
  // points and beyond the last one. Points one token apart are a stair: [16, 14.1], [17, 16.5].
  std::vector<std::pair<double, double>> dense_ms_by_tokens;
  // Above this many tokens the step is padded to a multiple of `padding`; 1: no padding.
  uint32_t padded_above = 0;
  uint32_t padding = 1;
  double prefill_attention_ms = 0;  // times q * (prefix + q / 2) of each prefill chunk of q tokens
  double decode_attention_ms = 0;   // times the KV tokens read by decoding rows
  double sampling_floor_ms = 0;     // max(floor, per_row * rows that produce a token)
  double sampling_ms_per_row = 0;
};

struct EngineProfile {
  std::string name;
  std::string model;
  uint32_t max_model_len = 0;  // tokens, prompt and answer together
  uint64_t kv_tokens = 0;      // capacity of the KV cache
  uint32_t block_size = 16;    // tokens in a KV block
  uint32_t max_num_seqs = 0;
  uint32_t max_num_batched_tokens = 0;  // the token budget of a step
  double gpu_memory_utilization = 0.9;  // the share of GPU memory that kv_tokens was worked out for
  // Sizes that only metrics tell; 0: unknown.
  uint64_t kv_bytes_per_token = 0;
  uint64_t gpu_memory_bytes = 0;
  // How fast KV comes from the host's memory to the GPU, 1e9 bytes a second: measured, 55, between
  // an H200 and its host (PCIe 5.0 x16).
  double host_link_gb_per_s = 55;
  StepTimes step;

  uint64_t kv_blocks() const { return kv_tokens / block_size; }
};

inline constexpr std::string_view kDefaultEngineProfile = "qwen3-32b-fp8-h200";

// `json`: the text of a profile; `where` names it in errors. Every key is checked; unknown keys are
// errors. "sources" says in words where each number comes from: of keys that the profile has
// ("kv_tokens", "step.padding"); it is checked and not kept.
Result<EngineProfile> parse_engine_profile(std::string_view json, const std::string& where);

// The built-in profile of that name, else the file of that name. The error lists the built-in names.
Result<EngineProfile> load_engine_profile(const std::string& name_or_file);

std::vector<std::string> builtin_engine_profiles();

}  // namespace kvasir
