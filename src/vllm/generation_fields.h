// Reads the fields that completions and chat have in common.
#pragma once

#include "vllm/field_reader.h"
#include "vllm/generation_request.h"

namespace kvasir {

// The fields in the order in which vLLM defines them, in groups since other fields stand between.
// Each reads into `request`; what is refused is in the reader's errors.
void read_bias_fields(const FieldReader& reader, GenerationRequest& request);
void read_stream_fields(const FieldReader& reader, GenerationRequest& request);
void read_temperature_fields(const FieldReader& reader, GenerationRequest& request);
void read_vllm_fields(const FieldReader& reader, GenerationRequest& request);

}  // namespace kvasir
