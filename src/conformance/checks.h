// The lists that all_checks() joins, one for each file. Private to conformance/.
#pragma once

#include <vector>

#include "conformance/check.h"

namespace kvasir {

std::vector<Check> transport_checks();
std::vector<Check> pick_checks();
std::vector<Check> request_body_checks();
std::vector<Check> subset_checks();
std::vector<Check> refusal_checks();
std::vector<Check> response_checks();
std::vector<Check> mode_checks();
std::vector<Check> robustness_checks();

}  // namespace kvasir
