#include "supervise/fleet_commands.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "net/io/socket.h"
#include "supervise/fleet_plan.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

std::string number(double value) {
  char digits[32];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
  return {digits, end.ptr};
}

void add(Words& words, const char* flag, std::string value) {
  words.emplace_back(flag);
  words.push_back(std::move(value));
}

Words common_words(const char* program, const FleetOptions& options, uint16_t port) {
  Words words{program};
  add(words, "--host", options.host);
  add(words, "--port", std::to_string(port));
  add(words, "--time-scale", number(options.time_scale));
  if (!options.engine_profile.empty()) add(words, "--engine-profile", options.engine_profile);
  return words;
}

// Where the worker on that port publishes its KV events: a name in Linux's abstract namespace, which
// leaves no file behind and which no other machine can reach.
std::string events_place(const std::string& port) {
  return "ipc://@kvasir-" + std::to_string(getpid()) + "-" + port;
}
std::string replay_place(const std::string& port) {
  return events_place(port) + "-replay";
}

// The group's own arguments say that flag.
bool says(const FleetGroup& group, const std::string& flag) {
  return std::any_of(group.arguments.begin(), group.arguments.end(), [&](const std::string& word) {
    return word == flag || word.starts_with(flag + "=");
  });
}

// Workers and gateway listen at one address: who can reach the one can reach the others, which ask
// for no key.
void add_anonymous(Words& words, const FleetOptions& options) {
  if (!is_loopback(options.host)) words.push_back("--anonymous");
}

void add_events_of_workers(Words& words) {
  add(words, "--kv-events", events_place("PORT"));
  add(words, "--kv-replay", replay_place("PORT"));
}

std::string join(const Words& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ",") + word;
  return joined;
}

}  // namespace

Words worker_command(const FleetOptions& options, uint16_t port) {
  Words words = common_words("worker", options, port);
  if (options.kv_events) {
    const std::string text = std::to_string(port);
    add(words, "--kv-events-config",
        R"({"enable_kv_cache_events":true,"endpoint":")" + events_place(text) +
            R"(","replay_endpoint":")" + replay_place(text) + R"("})");
  }
  words.insert(words.end(), options.worker_arguments.begin(), options.worker_arguments.end());
  return words;
}

Words gateway_command(const FleetOptions& options, uint16_t port, const Words& worker_urls) {
  Words words = common_words("gateway", options, port);
  add_anonymous(words, options);
  add(words, "--worker-urls", join(worker_urls));
  if (!options.health_path.empty()) add(words, "--health-path", options.health_path);
  if (!options.policy.empty()) add(words, "--policy", options.policy);
  if (options.kv_events && options.worker_urls.empty()) {
    add_events_of_workers(words);
  }
  if (options.given_workers_publish && !options.worker_urls.empty()) {
    add(words, "--kv-events", "auto");
  }
  if (options.gateway_threads > 0) {
    add(words, "--threads", std::to_string(options.gateway_threads));
  }
  return words;
}

Words program_command(const FleetGroup& group, const FleetOptions& options, uint16_t port,
                      bool hears_events) {
  const std::string text = std::to_string(port);
  switch (group.program) {
    case FleetProgram::kWorker: {
      FleetOptions own = options;
      own.kv_events = options.kv_events && !says(group, "--kv-events-config");
      return worker_command(own, port);
    }
    case FleetProgram::kSidecar:
      return {"sidecar", "--host", options.host, "--port", text, "--secure-proxy=false"};
    case FleetProgram::kPdProxy:
      return {"pd-proxy", "--host", options.host, "--port", text};
    case FleetProgram::kGateway:
      break;
  }
  Words words = common_words("gateway", options, port);
  if (!says(group, "--keys") && !says(group, "--anonymous")) add_anonymous(words, options);
  add(words, "--endpoints-file", endpoints_path(options));
  if (options.kv_events && hears_events && !says(group, "--kv-events"))
    add_events_of_workers(words);
  return words;
}

Result<std::string> find_binary(const std::string& binary) {
  std::error_code error;
  const fs::path target = fs::read_symlink(binary, error);
  std::string found = binary;
  if (!error && binary.starts_with("/proc/") && fs::equivalent(target, binary, error))
    found = target;
  if (access(found.c_str(), X_OK) != 0) {
    return Error{"cannot run " + binary + ": " + std::strerror(errno)};
  }
  return found;
}

}  // namespace kvasir
