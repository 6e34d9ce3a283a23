// What a TokenSource knows of engines from their answers, model by model: which calls they do not
// have, and whether they fail so often that asking only costs time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace kvasir {

class EngineKnowledge {
 public:
  struct Options {
    // Failures in a row before a pause; each pause is twice the one before.
    uint32_t failures_most = 3;
    Duration pause_shortest = std::chrono::seconds(1);
    Duration pause_longest = std::chrono::seconds(30);
    // For how long a call that an engine does not have is not tried again.
    Duration unsupported_pause = std::chrono::minutes(1);
    size_t models_most = 1024;  // of which something is remembered
  };
  explicit EngineKnowledge(Options options) : options_(options) {}

  // Whether engines are left alone now. When a pause is over, one asker is let through, and the
  // others when it got its answer.
  bool pauses(std::string_view model, TimePoint now) {
    const auto found = models_.find(model);
    if (found == models_.end() || found->second.failures < options_.failures_most) return false;
    if (now < found->second.paused_until) return true;
    found->second.paused_until = now + found->second.pause;
    return false;
  }
  bool lacks(std::string_view model, std::string_view path, TimePoint now) const {
    const Call* call = find(model, path);
    return call != nullptr && now < call->lacking_until;
  }
  bool has(std::string_view model, std::string_view path) const {
    const Call* call = find(model, path);
    return call != nullptr && call->answered;
  }

  void answered(std::string_view model, std::string_view path) {
    Model* known = remember(model);
    if (known == nullptr) return;
    known->failures = 0;
    call_of(*known, path).answered = true;
  }
  // `path` stays valid: one of the few that there are.
  void lacking(std::string_view model, std::string_view path, TimePoint now) {
    Model* known = remember(model);
    if (known == nullptr) return;
    call_of(*known, path) = {path, false, now + options_.unsupported_pause};
  }
  void failed(std::string_view model, TimePoint now) {
    Model* known = remember(model);
    if (known == nullptr || ++known->failures < options_.failures_most) return;
    known->pause = known->failures == options_.failures_most
                       ? options_.pause_shortest
                       : std::min(known->pause * 2, options_.pause_longest);
    known->paused_until = now + known->pause;
  }

 private:
  struct Call {
    std::string_view path;
    bool answered = false;
    TimePoint lacking_until{};
  };
  struct Model {
    uint32_t failures = 0;
    Duration pause{};
    TimePoint paused_until{};
    std::vector<Call> calls;
  };

  // Null: there are too many.
  Model* remember(std::string_view model) {
    const auto found = models_.find(model);
    if (found != models_.end()) return &found->second;
    if (models_.size() >= options_.models_most) return nullptr;
    return &models_[std::string(model)];
  }
  const Call* find(std::string_view model, std::string_view path) const {
    const auto found = models_.find(model);
    if (found == models_.end()) return nullptr;
    for (const Call& call : found->second.calls) {
      if (call.path == path) return &call;
    }
    return nullptr;
  }
  static Call& call_of(Model& model, std::string_view path) {
    for (Call& call : model.calls) {
      if (call.path == path) return call;
    }
    model.calls.push_back({path, false, TimePoint()});
    return model.calls.back();
  }

  const Options options_;
  std::map<std::string, Model, std::less<>> models_;
};

}  // namespace kvasir
