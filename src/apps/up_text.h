// What `kvasir up` prints and sends; all of it pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "supervise/fleet_supervisor.h"

namespace kvasir {

// The body of the request that shows that everything works.
std::string first_request(const std::string& model);

// The first model's id in an answer to GET /v1/models.
Result<std::string> read_first_model(std::string_view body);
// The text of a completion.
Result<std::string> read_first_text(std::string_view body);

std::string starting_text(const FleetOptions& options);
// A line for each process of a described fleet: its name, where it serves, what it is.
std::string who_is_who_text(const std::vector<ProcessStatus>& processes, const std::string& host);
std::string first_answer_text(const std::string& text, const std::string& endpoint, Duration took);
struct Welcome {
  std::string program;  // as it was called: what a user types again
  std::string url;
  std::string model;
  double time_scale = 1;
  Duration took{};  // from the command to the first answer
};
std::string welcome_text(const Welcome& welcome);

}  // namespace kvasir
