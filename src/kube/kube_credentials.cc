#include "kube/kube_credentials.h"

#include <utility>

#include "base/base64.h"
#include "base/text.h"
#include "base/whole_file.h"
#include "kube/kube_time.h"

namespace kvasir {
namespace {

constexpr size_t kTokenBytesMax = 64 * 1024;
constexpr size_t kCaBytesMax = 1024 * 1024;

// As it goes into a field: a line feed in it would begin another one.
Result<std::string> bearer(std::string_view text, const std::string& whose) {
  const std::string_view token = trimmed(text, kJsonSpace);
  if (token.empty()) return Error{whose + " holds no token"};
  for (const char c : token) {
    if (c <= ' ' || c > '~') return Error{whose + " holds a character that no token has"};
  }
  return "Bearer " + std::string(token);
}

// How long until then, by the machine's wall clock.
Duration until(int64_t seconds_since_1970) {
  return from_seconds(static_cast<double>(seconds_since_1970) -
                      to_seconds(WallClock().now().time_since_epoch()));
}

}  // namespace

KubeCredentials::KubeCredentials(EventLoop& loop, const KubeConfig& config,
                                 const KubeClientLimits& limits)
    : loop_(loop), config_(config), limits_(limits) {}

Result<void> KubeCredentials::check() {
  if (!config_.exec.empty()) return {};
  std::optional<Error> problem;
  get([&](const Result<std::string>& authorization) {
    if (!authorization) problem = authorization.error();
  });
  return problem ? Result<void>(*problem) : Result<void>();
}

void KubeCredentials::get(Ready ready) {
  if (!config_.token_file.empty()) return ready(from_file());
  if (!config_.token.empty()) return ready(bearer(config_.token, config_.source));
  if (!config_.user_name.empty()) {
    return ready("Basic " + encode_base64(config_.user_name + ":" + config_.password));
  }
  if (config_.exec.empty()) return ready(std::string());
  if (exec_answer_ && run_ == nullptr && loop_.now() < exec_expires_at_) {
    if (exec_answer_->token.empty()) return ready(std::string());
    return ready(bearer(exec_answer_->token, "what " + config_.exec[0].command + " printed"));
  }
  waiting_.push_back(std::move(ready));
  if (run_ == nullptr) ask_program();
}

bool KubeCredentials::renew(const std::string& refused) {
  if (!config_.token_file.empty()) {
    read_file();
    const Result<std::string> now = from_file();
    return now.ok() && *now != refused;
  }
  if (config_.exec.empty() || !config_.token.empty() || !config_.user_name.empty()) return false;
  const bool is_last = exec_answer_ && "Bearer " + exec_answer_->token == refused;
  if (is_last || refused.empty()) exec_expires_at_ = loop_.now();
  return true;
}

// A file that cannot be read just now leaves the token that was there, as in client-go.
void KubeCredentials::read_file() {
  file_read_at_ = loop_.now();
  const Result<std::string> text = read_whole_file(config_.token_file, kTokenBytesMax);
  Result<std::string> found = text ? bearer(*text, config_.token_file) : text;
  if (!found && !config_.token.empty() && !file_) found = bearer(config_.token, config_.source);
  trouble_ = text ? (found ? "" : found.error().message) : text.error().message;
  if (found || !file_ || !file_->ok()) file_ = std::move(found);
}

Result<std::string> KubeCredentials::from_file() {
  if (!file_ || !file_->ok() || loop_.now() - file_read_at_ >= limits_.token_reread) read_file();
  return *file_;
}

void KubeCredentials::ask_program() {
  std::string ca = config_.ca_data;
  if (ca.empty() && !config_.ca_file.empty() && config_.exec[0].provide_cluster_info) {
    const Result<std::string> pem = read_whole_file(config_.ca_file, kCaBytesMax);
    if (pem) ca = *pem;
  }
  run_ = std::make_unique<ExecRun>(
      loop_, config_.exec[0], exec_info(config_, ca),
      ExecRun::Limits{limits_.exec_timeout, limits_.exec_output_bytes_max},
      [this](const Result<std::string>& printed) { on_program(printed); });
}

void KubeCredentials::on_program(const Result<std::string>& printed) {
  Result<ExecAnswer> answer = printed ? read_exec_answer(*printed, config_.exec[0].api_version)
                                      : Result<ExecAnswer>(printed.error());
  if (printed && !answer) {
    answer = Error{"the program " + config_.exec[0].command + ": " + answer.error().message};
  }
  Result<std::string> authorization = std::string();
  if (!answer) {
    authorization = answer.error();
  } else {
    exec_expires_at_ = answer->expires_seconds
                           ? time_after(loop_.now(), until(*answer->expires_seconds))
                           : TimePoint::max();
    exec_answer_ = std::move(*answer);
    if (!exec_answer_->token.empty()) {
      authorization = bearer(exec_answer_->token, "what " + config_.exec[0].command + " printed");
    }
  }
  const std::vector<Ready> waiting = std::exchange(waiting_, {});
  run_.reset();
  const auto alive = lifeline_.token();
  for (const Ready& ready : waiting) {
    if (*alive) ready(authorization);
  }
}

}  // namespace kvasir
