#include "running_up.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr Duration kPatience = std::chrono::seconds(30);
constexpr Duration kPollInterval = std::chrono::milliseconds(10);

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// State and parent of a process, from /proc/PID/stat: "PID (NAME) STATE PARENT ...".
struct ProcessEntry {
  char state = 'X';
  int64_t parent = 0;
};
ProcessEntry read_process(int64_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  ProcessEntry entry;
  if (name_end == std::string::npos) return entry;
  std::istringstream(stat.substr(name_end + 1)) >> entry.state >> entry.parent;
  return entry;
}

std::string binary() {
  const char* path = std::getenv("KVASIR_BINARY");
  KVASIR_ASSERT(path != nullptr, "ctest sets KVASIR_BINARY");
  return path;
}

}  // namespace

bool process_runs(int64_t pid) {
  const char state = read_process(pid).state;
  return state != 'X' && state != 'Z';
}

RunningUp::RunningUp(std::vector<std::string> arguments)
    : loop_(std::move(EventLoop::create().value())) {
  std::string name = (fs::temp_directory_path() / "up-test-XXXXXX").string();
  directory_ = mkdtemp(name.data());
  Process::Command command;
  command.binary = binary();
  command.arguments = {"up"};
  if (std::find(arguments.begin(), arguments.end(), "--log-dir") == arguments.end()) {
    command.arguments.insert(command.arguments.end(), {"--log-dir", directory_ + "/logs"});
  }
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  command.log_file = directory_ + "/output";
  process_ = std::move(Process::start(*loop_, command, [this](const std::string& how) {
                         exit_words_ = how;
                       }).value());
}

RunningUp::~RunningUp() {
  process_.reset();
  fs::remove_all(directory_);
}

bool RunningUp::wait_until(const std::function<bool()>& condition) {
  const SteadyClock clock;
  const TimePoint deadline = clock.now() + kPatience;
  while (!condition() && clock.now() < deadline) {
    loop_->after(kPollInterval, [this] { loop_->stop(); });
    loop_->run();
  }
  return condition();
}

bool RunningUp::wait_until_output_has(const std::string& text) {
  const auto has_it = [&] { return output().find(text) != std::string::npos; };
  wait_until([&] { return has_it() || !process_->alive(); });
  return has_it();
}

bool RunningUp::wait_until_ready() {
  return wait_until_output_has("Ctrl-C stops everything");
}

bool RunningUp::wait_for_exit() {
  return wait_until([this] { return !process_->alive(); });
}

std::string RunningUp::output() const {
  return read_file(directory_ + "/output");
}

std::vector<int64_t> RunningUp::children() const {
  std::vector<int64_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const int64_t pid = std::atoll(entry.path().filename().c_str());
    if (pid > 0 && read_process(pid).parent == process_->pid()) found.push_back(pid);
  }
  std::sort(found.begin(), found.end());
  return found;
}

HostPort RunningUp::endpoint() const {
  const std::string text = output();
  const size_t begin = text.find("http://", text.find("Endpoint "));
  return parse_http_origin(text.substr(begin, text.find("/v1", begin) - begin)).value();
}

uint16_t RunningUp::port_of(const std::string& process) const {
  const std::string text = output();
  const size_t line = text.find("\n  " + process + " ", text.find("Who is who:"));
  if (line == std::string::npos) return 0;
  const size_t begin = text.find("http://", line);
  return parse_http_origin(text.substr(begin, text.find(' ', begin) - begin)).value().port;
}

Result<HttpAnswer> RunningUp::get(const std::string& target) {
  return query([&](HttpQuery& query, HttpQuery::Done done) { query.get(target, std::move(done)); });
}

Result<HttpAnswer> RunningUp::post(const std::string& target, const std::string& body) {
  return query([&](HttpQuery& query, HttpQuery::Done done) {
    query.post_json(target, body, std::move(done));
  });
}

Result<HttpAnswer> RunningUp::query(const std::function<void(HttpQuery&, HttpQuery::Done)>& start) {
  const HostPort origin = endpoint();
  HttpClient client(*loop_, resolve(origin.host, origin.port).value());
  HttpQuery query(client, origin);
  std::optional<Result<HttpAnswer>> outcome;
  start(query, [&](Result<HttpAnswer> answer) { outcome = std::move(answer); });
  if (wait_until([&] { return outcome.has_value(); })) return *outcome;
  return Error{"no answer"};
}

}  // namespace kvasir
