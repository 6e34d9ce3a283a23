// grpc.health.v1.Health/Check of a picker.
#pragma once

#include <string>
#include <string_view>

#include "conformance/subject.h"

namespace kvasir {

// "SERVING", "NOT_SERVING", ...; or, in words, why there was no answer.
std::string probe_health(Subject& subject, std::string_view service);

}  // namespace kvasir
