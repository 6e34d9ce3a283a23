// What it costs to follow a busy cluster: 2,000 pods in 5 pools of one namespace, 200 changes a
// second, from the bytes of a watch (5 KB a pod) to the fleets of five pools on one loop. TLS,
// health checks and scraping are not in it.
//
//   discovery_bench [SECONDS]
//
// Prints, for each kind of change, the share of a core and how long after its event the fleet had
// it; what giving whole lists would cost instead; and the memory of the process.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "base/random.h"
#include "cluster/pool_discovery.h"
#include "feeds/fleet_feeds.h"
#include "kube/reflector.h"
#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"
#include "wire/kube/kube_types.h"

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

// A pod as the API server tells it, which most of what it says is not read of.
struct PodLine {
  const char* type = "ADDED";
  int pool = 0;
  int pod = 0;
  uint64_t version = 0;
  bool ready = true;
  uint64_t revision = 0;

  std::string text() const {
    const std::string app = "vllm-" + std::to_string(pool);
    const std::string name = app + "-7c9d8b6f5d-" + std::to_string(pod);
    const std::string ip = "10." + std::to_string(pool) + "." + std::to_string(pod / 250) + "." +
                           std::to_string(pod % 250 + 1);
    std::string line = "{\"type\":\"" + std::string(type) +
                       R"(","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":")" + name +
                       R"(","generateName":")" + app +
                       R"(-7c9d8b6f5d-","namespace":"default","uid":"8c0e5c1e-5b0f-4c8e-9b0a-)" +
                       std::to_string(pool * 1000 + pod) + R"(","resourceVersion":")" +
                       std::to_string(version) +
                       R"(","creationTimestamp":"2026-01-31T08:00:00Z","labels":{"app":")" + app +
                       R"(","app.kubernetes.io/instance":"ms-inference-scheduling",)"
                       R"("app.kubernetes.io/managed-by":"Helm",)"
                       R"("app.kubernetes.io/name":"llm-d-modelservice",)"
                       R"("helm.sh/chart":"llm-d-modelservice-v0.4.5",)"
                       R"("llm-d.ai/inferenceServing":"true","llm-d.ai/model":"Qwen3-32B",)"
                       R"("llm-d.ai/role":"decode","pod-template-hash":"7c9d8b6f5d","revision":")" +
                       std::to_string(revision) + R"("},"managedFields":[)";
    for (int i = 0; i < 6; ++i) {
      line += i > 0 ? "," : "";
      line += R"({"manager":"kubelet","operation":"Update","apiVersion":"v1","fieldsType":)"
              R"("FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:app":{},"f:role":{}},)"
              R"("f:ownerReferences":{".":{},"k:{\"uid\":\"0e1c\"}":{}}},"f:spec":{"f:containers":)"
              R"({"k:{\"name\":\"vllm\"}":{".":{},"f:args":{},"f:env":{".":{}},"f:image":{},)"
              R"("f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{}},"f:resources":{}}}}}})";
    }
    line += R"(]},"spec":{"nodeName":"node-)" + std::to_string(pod % 50) +
            R"(","containers":[{"name":"vllm","image":"vllm/vllm-openai:v0.15.0","args":[)"
            R"("--model","Qwen/Qwen3-32B","--tensor-parallel-size","2"],"env":[)";
    for (int i = 0; i < 24; ++i) {
      line += i > 0 ? "," : "";
      line += R"({"name":"VARIABLE_)" + std::to_string(i) + R"(","value":"some longer value"})";
    }
    line += R"(],"ports":[{"containerPort":8000,"protocol":"TCP"}],"resources":{"limits":)"
            R"({"nvidia.com/gpu":"2"},"requests":{"nvidia.com/gpu":"2"}}}],"restartPolicy":)"
            R"("Always","schedulerName":"default-scheduler"},"status":{"phase":"Running",)"
            R"("conditions":[{"type":"PodScheduled","status":"True"},{"type":"Ready","status":")" +
            std::string(ready ? "True" : "False") + R"("}],"hostIP":"192.168.0.)" +
            std::to_string(pod % 50) + R"(","podIP":")" + ip + R"(","podIPs":[{"ip":")" + ip +
            R"("}],"startTime":"2026-01-31T08:00:00Z","qosClass":"Burstable"}}})";
    return line;
  }
};

// A watch whose lines the benchmark writes.
class LineApi final : public KubeApi {
 public:
  std::unique_ptr<KubeCall> start(KubeRequest, std::function<void(KubeAnswer)>) override {
    return std::make_unique<Call>();
  }
  std::unique_ptr<KubeCall> watch(std::string, KubeWatchObserver& observer) override {
    observer_ = &observer;
    return std::make_unique<Call>();
  }
  void say(const std::string& line) { observer_->on_line(line); }

 private:
  struct Call final : KubeCall {};
  KubeWatchObserver* observer_ = nullptr;
};

struct QuietProbe final : FleetProbe, ReflectorProbe {
  void on_health_changed(const Endpoint&, bool) override {}
  void on_trouble(const KubeType&, const KubeStatus&, const std::string& why) override {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::abort();
  }
};

enum class PodChange { kStatus, kLabel, kReady };

// A pool's fleet, fed as a program feeds it.
struct FollowedPool {
  FollowedPool(EventLoop& loop, ObjectStore& store, Resolver& resolver, FleetProbe& probe,
               const Reflector& pods, int pool) {
    FleetFeedsOptions options;
    options.check_health = false;
    options.discover = [&store, &pods, pool](Executor& executor, DiscoveryListener& listener) {
      PoolDiscoveryOptions discovery;
      discovery.selection.selector =
          LabelSelector(LabelSelector::Labels{{"app", "vllm-" + std::to_string(pool)}});
      discovery.selection.target_ports = {8000};
      return discover_pool(
          executor, store, std::move(discovery), [&pods] { return pods.synced(); }, listener);
    };
    feeds = std::make_unique<FleetFeeds>(loop, resolver, fleet, probe, std::move(options));
    if (!feeds->start()) std::abort();
  }
  uint64_t generation() const { return fleet.snapshot()->generation; }
  bool settled() const { return feeds->settled(); }

  Fleet fleet{1024};
  std::unique_ptr<FleetFeeds> feeds;
};

class Bench {
 public:
  explicit Bench(int seconds) : seconds_(seconds) {
    const double before = cpu_seconds();
    for (int pool = 0; pool < kPools; ++pool) {
      pools_.push_back(
          std::make_unique<FollowedPool>(*loop_, store_, resolver_, probe_, pods_, pool));
    }
    size_t bytes = 0;
    for (int pool = 0; pool < kPools; ++pool) {
      for (int pod = 0; pod < kPodsOfPool; ++pod) {
        const std::string line = PodLine{"ADDED", pool, pod, ++version_, true, 0}.text();
        bytes += line.size();
        api_.say(line);
      }
    }
    api_.say(R"({"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{)"
             R"("resourceVersion":"2000","annotations":{"k8s.io/initial-events-end":"true"}}}})");
    ready_.assign(kPools * kPodsOfPool, true);
    const auto all_settled = [this] {
      return std::all_of(pools_.begin(), pools_.end(),
                         [](const auto& pool) { return pool->settled(); });
    };
    while (!all_settled()) {
      loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
    std::printf(
        "%d pods of %zu bytes in %d pools: first lists in %.0f ms of CPU, %.1f MiB resident\n",
        kPools * kPodsOfPool, bytes / (kPools * kPodsOfPool), kPools,
        (cpu_seconds() - before) * 1000, resident_mib());
  }

  void run(const char* what, PodChange change) {
    const auto begin = loop_->clock().now();
    const double cpu = cpu_seconds();
    late_.clear();
    made_ = 0;
    due_ = begin;
    change_soon(change, begin + std::chrono::seconds(seconds_));
    loop_->run();
    const double wall = to_seconds(loop_->clock().now() - begin);
    std::printf("%-36s %5.0f changes/s: %5.2f %% of a core", what, made_ / wall,
                (cpu_seconds() - cpu) / wall * 100);
    if (!late_.empty()) {
      std::sort(late_.begin(), late_.end());
      std::printf(", in the fleet after %.2f ms (median), %.1f ms (worst of %zu)",
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
    std::printf("%-36s %5d changes/s: %5.2f %% of a core (without reading events)\n",
                "the same with whole lists", kChangesASecond,
                (cpu_seconds() - before) / kLists * kChangesASecond * 100);
  }

 private:
  void say(int pool, int pod, PodChange change) {
    PodLine line{"MODIFIED", pool, pod, ++version_, true, 0};
    const size_t place = static_cast<size_t>(pool) * kPodsOfPool + static_cast<size_t>(pod);
    if (change == PodChange::kReady) line.ready = ready_[place] = !ready_[place];
    if (change == PodChange::kLabel) line.revision = version_;
    api_.say(line.text());
  }

  void change_soon(PodChange change, TimePoint end) {
    due_ += std::chrono::microseconds(1'000'000 / kChangesASecond);
    loop_->after(std::max(due_ - loop_->now(), Duration::zero()), [this, change, end] {
      if (loop_->now() >= end) return loop_->stop();
      const int pool = made_ % kPools;
      const int pod = made_ / kPools % kPodsOfPool;
      const uint64_t generation = pools_[static_cast<size_t>(pool)]->generation();
      const TimePoint since = loop_->clock().now();
      say(pool, pod, change);
      ++made_;
      if (change != PodChange::kStatus) {
        loop_->post([this, pool, generation, since] { watch_for(pool, generation, since); });
      }
      change_soon(change, end);
    });
  }

  // By a look each millisecond.
  void watch_for(int pool, uint64_t generation, TimePoint since) {
    if (pools_[static_cast<size_t>(pool)]->generation() != generation) {
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
  Random random_{1};
  LineApi api_;
  Reflector pods_{*loop_,  api_,  store_, kube_type(KubeKind::kPod), {.name_space = "default"},
                  random_, probe_};
  std::vector<std::unique_ptr<FollowedPool>> pools_;
  std::vector<bool> ready_;
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
  bench.run("changes that no endpoint shows", kvasir::PodChange::kStatus);
  bench.run("labels change", kvasir::PodChange::kLabel);
  bench.run("pods become ready, or unready", kvasir::PodChange::kReady);
  bench.run_lists();
}
