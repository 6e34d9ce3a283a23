// Why a request was not scheduled.
#pragma once

#include <cstdint>

namespace kvasir {

enum class Refusal : uint8_t {
  kNone,
  kNoEndpoints,  // nobody is healthy, or everybody was tried
  kFiltered,     // the policy refused every candidate
  kNotAdmitted,  // an Admitter refused the request
  kNotCached,    // it wants an endpoint that holds some of its prompt, and the best one holds nothing
};

}  // namespace kvasir
