// Which engines prefill workers are, as their bootstrap servers say (kMooncake). What was found is
// kept for a while; it is asked for again at once when the worker looks as if it had restarted.
//
// Lives on its loop's thread.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "legs/worker_call.h"
#include "legs/worker_clients.h"
#include "wire/kv_transfer/bootstrap_engines.h"

namespace kvasir {

class BootstrapClients {
 public:
  struct Limits {
    size_t most = 1024;                            // workers; the least recently found go first
    Duration lifetime = std::chrono::seconds(10);  // upstream's: until the sidecar ends
    Duration deadline = std::chrono::seconds(5);
    size_t answer_bytes_max = 256 * 1024;
  };
  // All must outlive it.
  BootstrapClients(EventLoop& loop, WorkerClients& clients, Random& random, Limits limits)
      : loop_(loop), clients_(clients), random_(random), limits_(limits) {}

  // One of the worker's engines, at random; nullopt: ask().
  std::optional<PrefillEngine> find(const HostPort& bootstrap);

  class Question;
  using Found = std::function<void(const Result<PrefillEngine>&)>;
  // `found` is called in a later turn, unless the Question is destroyed before; it may destroy it.
  [[nodiscard]] std::unique_ptr<Question> ask(const HostPort& bootstrap, Found found);
  void forget(const HostPort& bootstrap);

  size_t size() const { return kept_.size(); }

 private:
  struct Kept {
    std::string key;
    std::vector<PrefillEngine> engines;
    TimePoint found{};
  };
  void keep(const HostPort& bootstrap, std::vector<PrefillEngine> engines);
  const PrefillEngine& any_of(const std::vector<PrefillEngine>& engines) {
    return engines[random_.below(engines.size())];
  }

  EventLoop& loop_;
  WorkerClients& clients_;
  Random& random_;
  const Limits limits_;
  std::list<Kept> kept_;  // the latest found first
  std::unordered_map<std::string, std::list<Kept>::iterator> by_key_;
};

class BootstrapClients::Question final : private HttpCallObserver {
 public:
  Question(BootstrapClients& owner, const HostPort& bootstrap, Found found);
  ~Question() override;

 private:
  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_body(std::string_view bytes) override;
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;
  void finish(const Result<PrefillEngine>& result);

  BootstrapClients& owner_;
  const LegWorker bootstrap_;
  Found found_;
  int status_ = 0;
  std::string body_;
  TimerId deadline_ = kNoTimer;
  WorkerCall call_;
};

}  // namespace kvasir
