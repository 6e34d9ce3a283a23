// What it costs to follow a busy cluster: 2,000 pods in 5 pools, 200 changes a second, from the
// store to the fleets of five pools on one loop. Health checks and scraping are off.
//
//   discovery_bench [SECONDS]
//
// Prints, for each kind of change, the share of a core and how late the fleet was; what whole lists
// would cost instead; and the memory that all of it takes.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include "cluster/cluster_fixture.h"
#include "cluster/pool_discovery.h"
#include "feeds/fleet_feeds.h"
#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

constexpr int kPools = 5;
constexpr int kPodsOfPool = 400;
constexpr int kChangesASecond = 200;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * 4096 / (1024 * 1024);
}

struct QuietProbe final : FleetProbe {
  void on_health_changed(const Endpoint&, bool) override {}
};

std::string pod_name(int pool, int pod) {
  return "vllm-" + std::to_string(pool) + "-" + std::to_string(pod);
}

// As the pods of a Deployment of llm-d's chart look.
std::shared_ptr<Pod> pod_of(int pool, int pod, uint64_t version) {
  auto object = make_pod(pod_name(pool, pod),
                         "10." + std::to_string(pool) + "." + std::to_string(pod / 250) + "." +
                             std::to_string(pod % 250 + 1),
                         {{"app", "vllm-" + std::to_string(pool)},
                          {"app.kubernetes.io/instance", "ms-inference-scheduling"},
                          {"app.kubernetes.io/managed-by", "Helm"},
                          {"app.kubernetes.io/name", "llm-d-modelservice"},
                          {"helm.sh/chart", "llm-d-modelservice-v0.4.5"},
                          {"llm-d.ai/inferenceServing", "true"},
                          {"llm-d.ai/model", "Qwen3-32B"},
                          {"llm-d.ai/role", "decode"},
                          {"pod-template-hash", "7c9d8b6f5d"}});
  object->meta.uid = "8c0e5c1e-5b0f-4c8e-9b0a-" + std::to_string(pool * 1000 + pod);
  object->meta.resource_version = std::to_string(version);
  object->node_name = "node-" + std::to_string(pod % 50);
  object->node_ip = "192.168.0." + std::to_string(pod % 50);
  object->phase = "Running";
  return object;
}

enum class Change { kStatus, kLabel, kReady };

// A pool's fleet, fed as `kvasir epp` feeds it.
struct FollowedPool {
  FollowedPool(EventLoop& loop, ObjectStore& store, Resolver& resolver, QuietProbe& probe,
               int pool) {
    FleetFeedsOptions options;
    options.check_health = false;
    options.discover = [&store, pool](Executor& executor, DiscoveryListener& listener) {
      PoolDiscoveryOptions discovery;
      discovery.selection.selector =
          LabelSelector(LabelMap{{"app", "vllm-" + std::to_string(pool)}});
      discovery.selection.target_ports = {8000};
      return discover_pool(
          executor, store, std::move(discovery), [] { return true; }, listener);
    };
    feeds = std::make_unique<FleetFeeds>(loop, resolver, fleet, probe, std::move(options));
    if (!feeds->start()) std::abort();
  }
  Fleet fleet{1024};
  std::unique_ptr<FleetFeeds> feeds;
};

class Bench {
 public:
  explicit Bench(int seconds) : seconds_(seconds) {
    for (int pool = 0; pool < kPools; ++pool) {
      for (int pod = 0; pod < kPodsOfPool; ++pod) put(pool, pod, Change::kStatus);
    }
    store_.end_batch();
    const double before = cpu_seconds();
    for (int pool = 0; pool < kPools; ++pool) {
      pools_.push_back(std::make_unique<FollowedPool>(*loop_, store_, resolver_, probe_, pool));
    }
    std::printf("%d pods in %d pools: first lists in %.1f ms, %.1f MiB resident\n",
                kPools * kPodsOfPool, kPools, (cpu_seconds() - before) * 1000, resident_mib());
  }

  void run(const char* what, Change change) {
    const auto begin = loop_->clock().now();
    const double cpu = cpu_seconds();
    late_.clear();
    made_ = 0;
    due_ = begin;
    change_soon(change, begin + std::chrono::seconds(seconds_));
    loop_->run();
    const double wall = to_seconds(loop_->clock().now() - begin);
    std::printf("%-38s %5.0f changes/s: %5.2f %% of a core", what, made_ / wall,
                (cpu_seconds() - cpu) / wall * 100);
    if (!late_.empty()) {
      std::sort(late_.begin(), late_.end());
      std::printf(", fleet behind by %.1f ms (median) to %.1f ms (worst of %zu)",
                  to_milliseconds(late_[late_.size() / 2]), to_milliseconds(late_.back()),
                  late_.size());
    }
    std::printf(", %.1f MiB\n", resident_mib());
  }

  // What each change would cost if its pool's whole list were given again.
  void run_lists() {
    constexpr int kLists = 200;
    const double before = cpu_seconds();
    for (int i = 0; i < kLists; ++i) {
      std::vector<Endpoint> list;
      store_.for_each<Pod>("default", [&](const Pod& pod) {
        if (*pod.meta.label("app") != "vllm-0") return;
        list.push_back({"default/" + pod.meta.name + "-rank-0", pod.ip, 8000, pod.meta.labels});
      });
      list.back().labels["revision"] = std::to_string(i);
      pools_.front()->fleet.replace_all(std::move(list));
    }
    std::printf("%-38s %5d changes/s: %5.2f %% of a core\n", "the same with whole lists",
                kChangesASecond, (cpu_seconds() - before) / kLists * kChangesASecond * 100);
  }

 private:
  void put(int pool, int pod, Change change) {
    const uint64_t version = ++version_;
    auto object = pod_of(pool, pod, version);
    if (change == Change::kLabel) object->meta.labels["revision"] = std::to_string(version);
    if (change == Change::kReady) object->ready = !ready_[pool][pod];
    ready_[pool][pod] = object->ready;
    store_.put(KubeKind::kPod, object);
  }

  void change_soon(Change change, TimePoint end) {
    due_ += std::chrono::microseconds(1'000'000 / kChangesASecond);
    loop_->after(std::max(due_ - loop_->now(), Duration::zero()), [this, change, end] {
      if (loop_->now() >= end) return loop_->stop();
      const int pool = made_ % kPools;
      const int pod = made_ / kPools % kPodsOfPool;
      const uint64_t generation = pools_[pool]->fleet.snapshot()->generation;
      const TimePoint since = loop_->clock().now();
      put(pool, pod, change);
      store_.end_batch();
      ++made_;
      if (change != Change::kStatus) watch_for(pool, generation, since);
      change_soon(change, end);
    });
  }

  // By a look each millisecond.
  void watch_for(int pool, uint64_t generation, TimePoint since) {
    if (pools_[pool]->fleet.snapshot()->generation != generation) {
      late_.push_back(loop_->clock().now() - since);
      return;
    }
    loop_->after(std::chrono::milliseconds(1),
                 [this, pool, generation, since] { watch_for(pool, generation, since); });
  }

  const int seconds_;
  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  ObjectStore store_;
  SystemResolver resolver_;
  QuietProbe probe_;
  std::vector<std::unique_ptr<FollowedPool>> pools_;
  std::map<int, std::map<int, bool>> ready_;
  std::vector<Duration> late_;
  TimePoint due_{};
  uint64_t version_ = 0;
  int made_ = 0;
};

}  // namespace
}  // namespace kvasir

int main(int count, char** arguments) {
  const int seconds = count > 1 ? std::max(std::atoi(arguments[1]), 1) : 10;
  kvasir::Bench bench(seconds);
  bench.run("changes that no endpoint shows", kvasir::Change::kStatus);
  bench.run("labels change", kvasir::Change::kLabel);
  bench.run("pods become ready, or unready", kvasir::Change::kReady);
  bench.run_lists();
}
