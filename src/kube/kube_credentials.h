// Who we are at the API server: the Authorization field and, from a credential plugin, a client
// certificate. Renews what ends. Private to kube/.
//
// Lives on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "base/result.h"
#include "kube/exec_run.h"
#include "kube/kube_client.h"
#include "kube/kube_config.h"
#include "wire/kube/exec_answer.h"

namespace kvasir {

class KubeCredentials {
 public:
  // The value of the Authorization field; empty: there is none.
  using Ready = std::function<void(const Result<std::string>& authorization)>;

  // `loop` and `config` must outlive it.
  KubeCredentials(EventLoop& loop, const KubeConfig& config, const KubeClientLimits& limits);
  KubeCredentials(const KubeCredentials&) = delete;
  KubeCredentials& operator=(const KubeCredentials&) = delete;

  // An Error now: a token file that cannot be used.
  Result<void> check();
  // Calls `ready` at once, or when a program that is asked has answered.
  void get(Ready ready);
  // After a 401 to a request with this field: whether get() may have a better one.
  bool renew(const std::string& refused);

  // Why the token file could not be read again, while the token that it held is used; else empty.
  const std::string& trouble() const { return trouble_; }
  // What a program gave last; null: nothing.
  const ExecAnswer* exec_answer() const { return exec_answer_ ? &*exec_answer_ : nullptr; }

 private:
  Result<std::string> from_file();
  void read_file();
  void ask_program();
  void on_program(const Result<std::string>& printed);

  EventLoop& loop_;
  const KubeConfig& config_;
  const KubeClientLimits& limits_;
  // A token file: what it held, or why it could not be read.
  std::optional<Result<std::string>> file_;
  TimePoint file_read_at_{};
  std::string trouble_;
  // A program.
  std::unique_ptr<ExecRun> run_;
  std::optional<ExecAnswer> exec_answer_;
  TimePoint exec_expires_at_{};
  std::vector<Ready> waiting_;
  Lifeline lifeline_;
};

}  // namespace kvasir
