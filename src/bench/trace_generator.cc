#include "bench/trace_generator.h"

#include <algorithm>

#include "base/assert.h"
#include "base/random.h"

namespace kvasir {
namespace {

constexpr uint64_t kBlock = kMooncakeBlockTokens;
constexpr uint32_t kSystemBlocksMax = 6;
constexpr uint64_t kQuestionMedian = 700;
constexpr uint64_t kAnswerMedian = 150;
constexpr uint64_t kAnswerMax = 800;
// When a conversation may go on: its answer at this pace, then the time to read and type.
constexpr uint64_t kMsPerAnswerToken = 30;
constexpr uint64_t kPauseMs = 2000;
constexpr uint64_t kConversationsKept = 64;

struct Conversation {
  uint64_t tokens = 0;        // all that was said, the last answer too
  std::vector<uint64_t> ids;  // of the whole blocks of its last prompt
  uint64_t ready_ms = 0;      // when the next question may come
};

class Generator {
 public:
  explicit Generator(const TraceOptions& options) : options_(options), random_(options.seed) {
    for (uint32_t i = 0; i < options.system_prompts; ++i) {
      Conversation prompt;
      const uint64_t blocks = 1 + random_.below(kSystemBlocksMax);
      for (uint64_t block = 0; block < blocks; ++block) prompt.ids.push_back(next_id_++);
      prompt.tokens = blocks * kBlock;
      system_prompts_.push_back(std::move(prompt));
    }
  }

  std::vector<TraceRow> run() {
    std::vector<TraceRow> rows;
    for (const uint64_t now_ms : arrival_times()) rows.push_back(ask(now_ms));
    return rows;
  }

 private:
  // Given their number, the times of a Poisson process are uniform.
  std::vector<uint64_t> arrival_times() {
    std::vector<uint64_t> times;
    for (uint32_t i = 0; i < options_.requests; ++i) {
      times.push_back(random_.below(uint64_t{options_.duration_s} * 1000));
    }
    std::sort(times.begin(), times.end());
    return times;
  }

  // Half of the values lie below `median`; each doubling of the value halves what lies beyond.
  uint64_t heavy_tailed(uint64_t median, uint64_t most) {
    uint64_t low = median / 8;
    uint64_t high = median;
    while (high < most && random_.below(2) == 1) {
      low = high;
      high *= 2;
    }
    return std::min(low + random_.below(high - low), most);
  }

  TraceRow ask(uint64_t now_ms) {
    Conversation& conversation = choose(now_ms);
    const uint64_t room = options_.prompt_tokens_max - conversation.tokens;
    const uint64_t prompt = conversation.tokens + heavy_tailed(kQuestionMedian, room);
    const uint64_t answer = 2 + heavy_tailed(kAnswerMedian, kAnswerMax - 2);
    TraceRow row;
    row.timestamp_ms = static_cast<double>(now_ms / options_.bin_ms * options_.bin_ms);
    row.input_length = static_cast<uint32_t>(prompt);
    row.output_length = static_cast<uint32_t>(answer);
    row.hash_ids = conversation.ids;
    while (row.hash_ids.size() * kBlock < prompt) row.hash_ids.push_back(next_id_++);
    // The last block goes on with the answer, so it gets another id next time, unless it is whole.
    conversation.ids = row.hash_ids;
    conversation.ids.resize(prompt / kBlock);
    conversation.tokens = prompt + answer;
    conversation.ready_ms = now_ms + answer * kMsPerAnswerToken + kPauseMs;
    return row;
  }

  Conversation& choose(uint64_t now_ms) {
    if (random_.below(100) < options_.follow_up_percent) {
      if (Conversation* ready = ready_conversation(now_ms)) return *ready;
    }
    if (conversations_.size() == kConversationsKept) conversations_.erase(conversations_.begin());
    conversations_.push_back(system_prompts_[common_first(system_prompts_.size())]);
    return conversations_.back();
  }

  // One of the conversations that may go on and have room to.
  Conversation* ready_conversation(uint64_t now_ms) {
    std::vector<Conversation*> ready;
    for (Conversation& one : conversations_) {
      const bool has_room = one.tokens + 2 * kQuestionMedian <= options_.prompt_tokens_max;
      if (one.ready_ms <= now_ms && has_room) ready.push_back(&one);
    }
    if (ready.empty()) return nullptr;
    return ready[random_.below(ready.size())];
  }

  // The smaller of two draws: low numbers are more common.
  size_t common_first(size_t count) {
    const uint64_t one = random_.below(count);
    return static_cast<size_t>(std::min(one, random_.below(count)));
  }

  const TraceOptions& options_;
  Random random_;
  uint64_t next_id_ = 0;
  std::vector<Conversation> system_prompts_;
  std::vector<Conversation> conversations_;
};

}  // namespace

std::vector<TraceRow> generate_trace(const TraceOptions& options) {
  KVASIR_ASSERT(options.prompt_tokens_max >= 8192, "a prompt has room for what comes before it");
  KVASIR_ASSERT(options.bin_ms > 0 && options.duration_s > 0 && options.system_prompts > 0,
                "the caller checks the options");
  return Generator(options).run();
}

}  // namespace kvasir
