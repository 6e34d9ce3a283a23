// kvasir kube apply: the objects of a manifest, by server-side apply, waiting for their kinds to be
// installed. For a Job beside the definitions of the kinds: kubectl takes no object of a kind that
// the same command defines.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/lifeline.h"
#include "base/result.h"
#include "kube/kube_client.h"

namespace kvasir {

struct ManifestPatch {
  std::string name;  // for people: "InferencePool models/vllm"
  std::string path;  // of the object, at the API server
  std::string yaml;  // the document as it was written
};

// One for each YAML document of `text`. The error says the line; of kinds that Kvasir does not read
// nothing can be applied.
Result<std::vector<ManifestPatch>> read_patches(std::string_view text,
                                                std::string_view default_namespace);

struct KubeApplyOptions {
  Duration wait = Duration::zero();  // for a kind that is not installed, or a server that is away
  Duration pause = std::chrono::seconds(1);
  std::string field_manager = "kvasir";
};

// One after the other, in their order. Lives on its executor's thread.
class KubeApply {
 public:
  // `told`: a line for each object that was applied, and for what is waited for. `done`: once,
  // later.
  KubeApply(Executor& executor, KubeApi& api, std::vector<ManifestPatch> patches,
            KubeApplyOptions options, std::function<void(const std::string&)> told,
            std::function<void(Result<void>)> done);

 private:
  void start();
  void on_answer(const KubeAnswer& answer);

  Executor& executor_;
  KubeApi& api_;
  const std::vector<ManifestPatch> patches_;
  const KubeApplyOptions options_;
  const std::function<void(const std::string&)> told_;
  const std::function<void(Result<void>)> done_;
  const TimePoint give_up_at_;
  size_t next_ = 0;
  std::string trouble_;  // what was told last
  std::unique_ptr<KubeCall> call_;
  Lifeline lifeline_;
};

}  // namespace kvasir
