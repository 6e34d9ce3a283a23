#include "index/measurements.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/random.h"
#include "hashing/token_blocks.h"
#include "index/child_process.h"

namespace kvasir {
namespace {

using Steady = std::chrono::steady_clock;

constexpr double kAchievedLeast = 0.99;
constexpr double kBracket = 1.10;
constexpr int kTrialsMost = 12;
constexpr uint32_t kLongBlocks = 8'192;  // 128k tokens
constexpr int kLongPrompts = 64;
constexpr int kLongLookups = 4'000;
constexpr int kHashings = 1'000;

double achieved(const nlohmann::json& trial) {
  return trial["window_s"].get<double>() / trial["took_s"].get<double>();
}

// Whether the rate is kept up with. The machine has other work: what failed is tried once more.
bool keeps_up(const CacheWorkload& workload, uint32_t workers, const ContenderKind& kind,
              double rate, nlohmann::json& trials) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    nlohmann::json trial = measure_load(workload, workers, kind, {rate});
    const double part = achieved(trial);
    trials.push_back({{"rate", rate}, {"achieved", part}});
    if (part >= kAchievedLeast) return true;
  }
  return false;
}

std::vector<uint64_t> long_contents(int prompt) {
  Random random(static_cast<uint64_t>(prompt) + 1);
  std::vector<uint64_t> contents(kLongBlocks);
  for (uint64_t& content : contents) content = random.next();
  return contents;
}

// Every worker has a beginning of it, worker `prompt` all; in events as engines send them.
std::vector<BlockHash> store_long(IndexContender& index, uint32_t workers, int prompt) {
  const std::vector<uint64_t> contents = long_contents(prompt);
  const BlockHash root = token_root(static_cast<uint64_t>(prompt));
  std::vector<BlockHash> hashes;
  std::vector<uint64_t> names;
  for (const uint64_t content : contents) {
    hashes.push_back(chain_block(hashes.empty() ? root : hashes.back(), content));
    names.push_back(mix64(hashes.back()));
  }
  constexpr uint32_t kHolders = 8, kChunk = 128;
  for (uint32_t i = 0; i < kHolders; ++i) {
    const uint32_t holder = (static_cast<uint32_t>(prompt) + i) % workers;
    const uint32_t blocks = i == 0 ? kLongBlocks : kLongBlocks / kHolders * i - 5;
    for (uint32_t begin = 0; begin < blocks; begin += kChunk) {
      const uint32_t count = std::min(kChunk, blocks - begin);
      StoredBlocks stored;
      stored.holder = HolderId{holder};
      if (begin > 0) stored.parent = names[begin - 1];
      stored.root = root;
      stored.engine_hashes = {names.data() + begin, count};
      stored.contents = {contents.data() + begin, count};
      index.store(stored);
    }
  }
  return hashes;
}

// Each of the lookups, which take the prompts in turn.
std::vector<int64_t> time_lookups(const IndexContender& index,
                                  const std::vector<std::vector<BlockHash>>& prompts,
                                  size_t of_them, uint32_t holders) {
  std::vector<int64_t> times;
  std::vector<HolderMatch> matches;
  for (int i = 0; i < kLongLookups; ++i) {
    KnownChain chain(prompts[static_cast<size_t>(i) % of_them]);
    const auto begin = Steady::now();
    index.match(chain, matches);
    times.push_back((Steady::now() - begin).count());
    const bool whole = std::any_of(matches.begin(), matches.end(), [](const HolderMatch& match) {
      return match.blocks == kLongBlocks;
    });
    if (!whole || matches.size() < std::min(holders, 8u)) return {};  // it does not answer right
  }
  return times;
}

}  // namespace

nlohmann::json measure_load(const CacheWorkload& workload, uint32_t workers,
                            const ContenderKind& kind, const OfferedLoad& load) {
  return in_child([&]() -> nlohmann::json {
    const auto index = kind.make(workers);
    OpenLoopResult result = run_open_loop(workload, workers, load, *index);
    return {{"operations", result.operations},
            {"window_s", result.window_s},
            {"took_s", result.took_s},
            {"cpu_s", result.cpu_s},
            {"latencies_ns", std::move(result.latencies_ns)},
            {"services_ns", std::move(result.services_ns)}};
  });
}

nlohmann::json find_ceiling(const CacheWorkload& workload, uint32_t workers,
                            const ContenderKind& kind) {
  nlohmann::json trials = nlohmann::json::array();
  const nlohmann::json unbounded = measure_load(workload, workers, kind, {});
  const double most = unbounded["operations"].get<double>() / unbounded["took_s"].get<double>();
  double low = 0, high = 0;  // kept up with; too much; 0: not known
  for (double rate = most * 0.95; static_cast<int>(trials.size()) < kTrialsMost;) {
    (keeps_up(workload, workers, kind, rate, trials) ? low : high) = rate;
    if (low > 0 && high > 0 && high <= low * kBracket) break;
    if (low == 0) {
      rate = high / kBracket;
    } else if (high == 0) {
      rate = low * kBracket;
    } else {
      rate = (low + high) / 2;
    }
  }
  return {{"ceiling", low},
          {"unbounded", most},
          {"unbounded_per_cpu_s",
           unbounded["operations"].get<double>() / unbounded["cpu_s"].get<double>()},
          {"trials", trials}};
}

nlohmann::json measure_applying(const CacheWorkload& workload, uint32_t workers,
                                const ContenderKind& kind) {
  return in_child([&]() -> nlohmann::json {
    const auto index = kind.make(workers);
    fill(workload, workers, workload.warm_batches, *index);
    const double before = thread_cpu_s();
    apply_batches(workload, workload.warm_batches, workload.batch_ends.size(), *index);
    const double took = thread_cpu_s() - before;
    return {
        {"per_cpu_s", static_cast<double>(workload.operations - workload.warm_operations) / took}};
  });
}

nlohmann::json measure_memory(const CacheWorkload& workload, uint32_t workers,
                              const ContenderKind& kind) {
  return in_child([&]() -> nlohmann::json {
    const uint64_t before = private_bytes();
    const auto index = kind.make(workers);
    fill(workload, workers, workload.batch_ends.size(), *index);
    return {{"bytes", private_bytes() - before}};
  });
}

nlohmann::json measure_long_prompts(const CacheWorkload& workload, uint32_t workers,
                                    const ContenderKind& kind) {
  return in_child([&]() -> nlohmann::json {
    const auto index = kind.make(workers);
    fill(workload, workers, workload.warm_batches, *index);
    std::vector<std::vector<BlockHash>> prompts;
    for (int i = 0; i < kLongPrompts; ++i) prompts.push_back(store_long(*index, workers, i));
    return {{"same_ns", time_lookups(*index, prompts, 1, workers)},
            {"others_ns", time_lookups(*index, prompts, prompts.size(), workers)}};
  });
}

nlohmann::json measure_hashing() {
  return in_child([]() -> nlohmann::json {
    Random random(1);
    std::vector<uint32_t> tokens(kLongBlocks * 16);
    for (uint32_t& token : tokens) token = static_cast<uint32_t>(random.below(128'000));
    std::vector<int64_t> times;
    uint64_t sum = 0;
    for (int i = 0; i < kHashings; ++i) {
      const auto begin = Steady::now();
      TokenChain chain(tokens, token_root(static_cast<uint64_t>(i)), 16);
      sum ^= chain.at_least(kLongBlocks).back();
      times.push_back((Steady::now() - begin).count());
    }
    return {{"ns", times}, {"sum", sum}};
  });
}

}  // namespace kvasir
