#include "apps/up_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/io/socket.h"
#include "supervise/fleet_description.h"

namespace kvasir {
namespace {

constexpr char kFirstPrompt[] = "Tell me about the well of Mimir.";
constexpr int kFirstTokens = 8;

using Json = nlohmann::json;

Result<std::string> read_string(std::string_view body, const char* pointer) {
  const Json answer = Json::parse(body, nullptr, false);
  const Json::json_pointer place(pointer);
  if (!answer.is_discarded() && answer.contains(place) && answer[place].is_string()) {
    return answer[place].get<std::string>();
  }
  return Error{fmt::format("the gateway's answer has no {}: {}", pointer, body)};
}

}  // namespace

std::string first_request(const std::string& model) {
  return Json{{"model", model}, {"prompt", kFirstPrompt}, {"max_tokens", kFirstTokens}}.dump();
}

Result<std::string> read_first_model(std::string_view body) {
  return read_string(body, "/data/0/id");
}

Result<std::string> read_first_text(std::string_view body) {
  return read_string(body, "/choices/0/text");
}

std::string starting_text(const FleetOptions& options) {
  const std::string logs =
      options.log_directory.empty() ? "" : fmt::format(" Logs: {}", options.log_directory);
  if (options.description) {
    std::string groups;
    for (const FleetGroup& group : options.description->groups) {
      const std::string name =
          group.count == 1 ? group.name : fmt::format("{} x {}", group.count, group.name);
      groups += (groups.empty() ? "" : ", ") + name;
    }
    return fmt::format("Starting {} and a gateway.{}", groups, logs);
  }
  if (!options.worker_urls.empty()) {
    return fmt::format("Starting a gateway in front of {} workers.{}", options.worker_urls.size(),
                       logs);
  }
  return fmt::format("Starting {} simulated workers and a gateway.{}", options.workers, logs);
}

std::string who_is_who_text(const std::vector<ProcessStatus>& processes, const std::string& host) {
  size_t longest = 0;
  for (const ProcessStatus& process : processes) longest = std::max(longest, process.name.size());
  std::string text = "Who is who:";
  for (const ProcessStatus& process : processes) {
    text += fmt::format("\n  {:<{}}  http://{}  {}", process.name, longest,
                        to_string(HostPort{host, process.port}), process.about);
  }
  return text;
}

std::string first_answer_text(const std::string& text, const std::string& endpoint, Duration took) {
  return fmt::format("First request: {}\nIts answer:    {}  (x-selected-pod: {}, {:.0f} ms)",
                     Json(kFirstPrompt).dump(),
                     Json(text).dump(-1, ' ', false, Json::error_handler_t::replace), endpoint,
                     to_milliseconds(took));
}

std::string welcome_text(const Welcome& welcome) {
  const std::string stream_body = fmt::format(
      R"({{"model": {}, "prompt": "Once upon a time", "max_tokens": 64, "stream": true}})",
      Json(welcome.model).dump());
  const std::string replay_scale =
      welcome.time_scale == 1 ? "" : fmt::format(" --time-scale {}", welcome.time_scale);
  return fmt::format(
      R"(Ready after {5:.1f} s.

  Endpoint  {0}/v1
  Model     {1}

Try next, in another terminal:
  curl -N {0}/v1/completions -H 'Content-Type: application/json' \
    -d '{2}'
  python3: OpenAI(base_url="{0}/v1", api_key="none")
  {3} bench replay --url {0}{4}
  curl {0}/metrics
Ctrl-C stops everything.
)",
      welcome.url, welcome.model, stream_body, welcome.program, replay_scale,
      to_seconds(welcome.took));
}

}  // namespace kvasir
