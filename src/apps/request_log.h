// What gateway and picker log of each request at the level debug: one line when it is over.
#pragma once

#include <string>

#include "serving/journey_report.h"

namespace kvasir {

// Never a prompt or an answer.
std::string request_line(const EndReport& report);

void log_request(const EndReport& report);

}  // namespace kvasir
