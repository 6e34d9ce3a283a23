// Answers that have the status 200 and are errors all the same, told by the first bytes of their
// body. A server that has sent its status before it fails can say so in the body only.
#pragma once

#include <string_view>

namespace kvasir {

// Whether the body of a model's answer begins as an error: a JSON object with a member "error" that
// says something, or with "error" as its "object" or "type"; or a stream whose first event is one
// or is named "error". `first_bytes`: what came first, cut anywhere; little of it is looked at.
// What is cut too early to tell is no error.
bool is_error_answer(std::string_view first_bytes);

}  // namespace kvasir
