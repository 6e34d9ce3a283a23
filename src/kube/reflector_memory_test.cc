// What 5,000 pods of 6 KB cost: the store keeps what is read of each, not its JSON.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

#include "base/random.h"
#include "base/virtual_executor_fixture.h"
#include "kube/reflector.h"

namespace kvasir {
namespace {

constexpr size_t kPods = 5'000;
constexpr size_t kPodBytes = 6 * 1024;
constexpr size_t kMiB = 1024 * 1024;

// What small objects take. Large buffers are not in it: the reader keeps those of its largest page,
// of which only what was written to is in memory (RSS tells).
size_t heap_bytes() {
  return mallinfo2().uordblks;
}

// "VmRSS" or "VmHWM", in KiB.
size_t process_kib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stoul(line.substr(name.size() + 1));
  }
  return 0;
}

std::string pod_json(size_t number, size_t version) {
  const std::string name = "vllm-decode-7c9f6d5b8-" + std::to_string(10'000 + number);
  std::string json = R"({"metadata":{"name":")" + name + R"(","namespace":"default","uid":"uid-)" +
                     std::to_string(number) + R"(","resourceVersion":")" + std::to_string(version) +
                     R"(","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"app":"vllm",)"
                     R"("llm-d.ai/role":"decode","pod-template-hash":"7c9f6d5b8"},)"
                     R"("managedFields":[)";
  const std::string field = R"({"manager":"kubelet","operation":"Update","apiVersion":"v1",)"
                            R"("fieldsType":"FieldsV1","fieldsV1":{"f:status":{"f:phase":{}}}})";
  const std::string tail = R"(]},"spec":{"nodeName":"node-7"},"status":{"phase":"Running",)"
                           R"("podIP":"10.1.2.3","hostIP":"10.0.0.7",)"
                           R"("conditions":[{"type":"Ready","status":"True"}]}})";
  while (json.size() + field.size() + tail.size() + 1 < kPodBytes) {
    json += (json.back() == '[' ? "" : ",") + field;
  }
  return json + tail;
}

// Makes each page and each event when it is asked for, and keeps none.
class EndlessPods final : public KubeApi {
 public:
  explicit EndlessPods(Executor& executor) : executor_(executor) {}

  std::unique_ptr<KubeCall> start(KubeRequest request,
                                  std::function<void(KubeAnswer)> done) override {
    const size_t at = request.target.find("&continue=");
    const size_t first = at == std::string::npos ? 0 : std::stoul(request.target.substr(at + 10));
    executor_.post([this, first, done = std::move(done)] {
      KubeAnswer answer;
      answer.http_status = 200;
      const size_t end = std::min(first + 500, kPods);
      answer.body = R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9000")";
      if (end < kPods) answer.body += R"(,"continue":")" + std::to_string(end) + "\"";
      answer.body += R"(},"items":[)";
      for (size_t i = first; i < end; ++i) {
        answer.body += (i == first ? "" : ",") + pod_json(i, 1'000 + i);
      }
      answer.body += "]}";
      done(std::move(answer));
    });
    return nullptr;
  }
  std::unique_ptr<KubeCall> watch(std::string, KubeWatchObserver& observer) override {
    observer_ = &observer;
    return nullptr;
  }
  void modify(size_t number, size_t version) {
    std::string json = pod_json(number, version);
    json.insert(1, R"("kind":"Pod","apiVersion":"v1",)");
    observer_->on_line(R"({"type":"MODIFIED","object":)" + json + "}");
  }

 private:
  Executor& executor_;
  KubeWatchObserver* observer_ = nullptr;
};

TEST(ReflectorMemoryTest, FiveThousandPodsTakeOneKilobyteEachHoweverOftenTheyChange) {
  VirtualExecutor executor;
  EndlessPods api(executor);
  ObjectStore store;
  ReflectorProbe probe;
  Random random(1);
  const size_t heap_before = heap_bytes();
  const size_t rss_before = process_kib("VmRSS");
  Reflector reflector(executor, api, store, kube_type(KubeKind::kPod),
                      {.name_space = "default", .streaming_list = false}, random, probe);
  executor.run_until(executor.now());
  ASSERT_TRUE(reflector.synced());
  ASSERT_EQ(store.size(), kPods);
  const size_t heap_listed = heap_bytes();
  const size_t rss_listed = process_kib("VmRSS");
  for (size_t change = 0; change < 4 * kPods; ++change) {
    api.modify(change % kPods, 10'000 + change);
    executor.run_until(executor.now());
  }
  const size_t heap_watched = heap_bytes();
  EXPECT_EQ(store.get<Pod>("default", "vllm-decode-7c9f6d5b8-10000")->meta.resource_version,
            std::to_string(10'000 + 3 * kPods));
  const auto mib = [](size_t kib) { return static_cast<double>(kib) / 1024; };
  std::printf(
      "heap: listed +%.1f MiB, watched +%.1f MiB; "
      "RSS: listed +%.1f MiB, watched +%.1f MiB, at most +%.1f MiB\n",
      mib((heap_listed - heap_before) / 1024), mib((heap_watched - heap_before) / 1024),
      mib(rss_listed - rss_before), mib(process_kib("VmRSS") - rss_before),
      mib(process_kib("VmHWM") - rss_before));
  // 30 MB of JSON were listed, and 120 MB watched.
  EXPECT_LE(heap_listed - heap_before, 10 * kMiB);
  EXPECT_LE(heap_watched, heap_listed + kMiB);
}

}  // namespace
}  // namespace kvasir
