// Who may read /metrics, as upstream's --metrics-endpoint-auth has it: whoever sends a bearer token
// that the API server knows (TokenReview) and whose user it lets `get /metrics`
// (SubjectAccessReview).
//
// What the server said counts for a while. Tokens are kept in memory meanwhile, and told to nobody
// else. Lives on its executor's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/executor.h"
#include "base/lifeline.h"
#include "kube/kube_client.h"

namespace kvasir {

struct MetricsAccessOptions {
  Duration kept = std::chrono::minutes(1);
  size_t kept_max = 256;   // tokens; the oldest answers are forgotten
  size_t asking_max = 16;  // at one time; others are told to come again
};

class MetricsAccess {
 public:
  // Both must outlive it.
  MetricsAccess(Executor& executor, KubeApi& api, MetricsAccessOptions options = {});
  ~MetricsAccess();
  MetricsAccess(const MetricsAccess&) = delete;
  MetricsAccess& operator=(const MetricsAccess&) = delete;

  // `authorization`: of the request, "Bearer TOKEN". Calls `done`, at once or later, with 200, 401
  // (no token, or one that is not known), 403, or 503 when the server could not be asked.
  void ask(std::string_view authorization, std::function<void(int status)> done);

 private:
  class Question;
  struct Kept {
    int status;
    TimePoint until;
  };

  void end(Question& question, int status);
  void keep(const std::string& token, int status);

  Executor& executor_;
  KubeApi& api_;
  const MetricsAccessOptions options_;
  std::map<std::string, Kept, std::less<>> kept_;
  std::map<const Question*, std::unique_ptr<Question>> questions_;
  Lifeline lifeline_;
};

}  // namespace kvasir
