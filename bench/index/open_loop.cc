#include "index/open_loop.h"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "index/apply_event.h"

namespace kvasir {
namespace {

using Steady = std::chrono::steady_clock;

// On a core of its own, when there are two.
void take_core(int number) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  for (int core = 0, seen = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || seen++ != number) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof(one), &one);
    return;
  }
}

void apply_batch(const CacheWorkload& workload, size_t batch, IndexContender& index,
                 uint64_t& operations, bool& untidy) {
  const uint64_t begin = batch == 0 ? 0 : workload.batch_ends[batch - 1];
  for (uint64_t i = begin; i < workload.batch_ends[batch]; ++i) {
    const CacheEvent& event = workload.events[i];
    apply_event(workload, event, index);
    operations += operations_of(event);
    untidy |= event.kind == CacheEvent::Kind::kClear;
  }
  if (untidy) untidy = index.tidy();
}

// When what comes after that many operations is due.
class Schedule {
 public:
  Schedule(Steady::time_point begin, double rate) : begin_(begin), ns_(rate > 0 ? 1e9 / rate : 0) {}
  Steady::time_point due(uint64_t operations) const {
    return begin_ +
           std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(operations) * ns_));
  }

 private:
  const Steady::time_point begin_;
  const double ns_;  // an operation
};

class Reader {
 public:
  Reader(const CacheWorkload& workload, const IndexContender& index)
      : workload_(workload), index_(index) {}

  // Makes all lookups before `last_operation`. Without a rate each is due when the writer has come
  // to its place, until that has written UINT64_MAX.
  void run(const Schedule& schedule, bool paced, uint64_t last_operation,
           const std::atomic<uint64_t>& written, OpenLoopResult& result) {
    auto lookup = std::lower_bound(
        workload_.lookups.begin(), workload_.lookups.end(), workload_.warm_operations,
        [](const PromptLookup& a, uint64_t operations) { return a.operations < operations; });
    std::vector<HolderMatch> matches;
    for (; lookup != workload_.lookups.end() && lookup->operations < last_operation; ++lookup) {
      const uint64_t before = lookup->operations - workload_.warm_operations;
      Steady::time_point due = schedule.due(before), begun;
      if (paced) {
        while ((begun = Steady::now()) < due) __builtin_ia32_pause();
      } else {
        while (written.load(std::memory_order_relaxed) < before) __builtin_ia32_pause();
        if (written.load(std::memory_order_relaxed) == UINT64_MAX) return;
        due = begun = Steady::now();
      }
      KnownChain prompt(workload_.prompt(*lookup));
      index_.match(prompt, matches);
      const Steady::time_point ended = Steady::now();
      result.latencies_ns.push_back(nanoseconds(ended - due));
      result.services_ns.push_back(nanoseconds(ended - begun));
    }
  }

 private:
  static uint32_t nanoseconds(Steady::duration duration) {
    return static_cast<uint32_t>(std::min<int64_t>(duration.count(), UINT32_MAX));
  }
  const CacheWorkload& workload_;
  const IndexContender& index_;
};

}  // namespace

double thread_cpu_s() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void apply_batches(const CacheWorkload& workload, size_t first, size_t last,
                   IndexContender& index) {
  uint64_t operations = 0;
  bool untidy = false;
  for (size_t batch = first; batch < last; ++batch) {
    apply_batch(workload, batch, index, operations, untidy);
  }
  while (index.tidy()) continue;
}

void fill(const CacheWorkload& workload, uint32_t workers, size_t batches, IndexContender& index) {
  for (uint32_t i = 0; i < workers; ++i) index.add_holder();
  apply_batches(workload, 0, batches, index);
}

OpenLoopResult run_open_loop(const CacheWorkload& workload, uint32_t workers,
                             const OfferedLoad& load, IndexContender& index) {
  fill(workload, workers, workload.warm_batches, index);
  uint64_t most = workload.operations - workload.warm_operations;
  if (load.rate > 0) {
    most = std::min(most, static_cast<uint64_t>(load.rate * load.window_s_most));
  }
  OpenLoopResult result;
  result.latencies_ns.reserve(workload.lookups.size());
  result.services_ns.reserve(workload.lookups.size());
  std::atomic<uint64_t> written{0};
  std::atomic<bool> ready{false};
  take_core(0);
  const Steady::time_point begin = Steady::now() + std::chrono::milliseconds(20);
  const Schedule schedule(begin, load.rate);
  std::thread reader([&] {
    take_core(1);
    ready = true;
    Reader(workload, index)
        .run(schedule, load.rate > 0, workload.warm_operations + most, written, result);
  });
  while (!ready || Steady::now() < begin) __builtin_ia32_pause();
  bool untidy = false;
  const double cpu_before = thread_cpu_s();
  for (size_t batch = workload.warm_batches; result.operations < most; ++batch) {
    if (load.rate > 0) {
      const Steady::time_point due = schedule.due(result.operations);
      while (Steady::now() < due) __builtin_ia32_pause();
    } else if (Steady::now() - begin > std::chrono::duration<double>(load.window_s_most)) {
      break;
    }
    apply_batch(workload, batch, index, result.operations, untidy);
    written.store(result.operations, std::memory_order_relaxed);
  }
  while (index.tidy()) continue;
  result.took_s = std::chrono::duration<double>(Steady::now() - begin).count();
  result.cpu_s = thread_cpu_s() - cpu_before;
  written.store(UINT64_MAX, std::memory_order_relaxed);
  reader.join();
  result.window_s =
      load.rate > 0 ? static_cast<double>(result.operations) / load.rate : result.took_s;
  return result;
}

}  // namespace kvasir
