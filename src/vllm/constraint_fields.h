// Reads the fields that say what the text of an answer has to be.
#pragma once

#include "vllm/field_reader.h"
#include "vllm/generation_request.h"

namespace kvasir {

// structured_outputs. What makes it impossible goes to request.sampling.
void read_structured_outputs(const FieldReader& reader, GenerationRequest& request);
// response_format, unless structured_outputs came before it.
void read_response_format(const FieldReader& reader, GenerationRequest& request);
// guided_json, guided_regex and guided_choice of earlier versions, where neither of the others says
// anything. What makes them impossible goes to request.sampling, as for structured_outputs.
void read_guided_fields(const FieldReader& reader, GenerationRequest& request);

}  // namespace kvasir
