#include "transfer/store_connector.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "telemetry/log.h"
#include "transfer/packed_block.h"

namespace kvasir {
namespace {

constexpr size_t kRecordsMost = 4096;  // that nobody took; further ones are counted only
constexpr size_t kScratchMost = size_t{256} << 20;  // kept between two pieces of work

void trim(std::vector<std::byte>& scratch) {
  if (scratch.capacity() > kScratchMost) std::vector<std::byte>().swap(scratch);
}

}  // namespace

StoreConnectorOptions store_options(const KvTransferConfig& config) {
  StoreConnectorOptions options;
  options.saves = config.role != "kv_consumer";
  options.link = config.link;
  options.compress = config.compress;
  options.pipelining = config.pipelining;
  return options;
}

// The thread's way to the engine's memory, which ends when the loop says so. Bytes are as the store
// has them.
struct StoreConnector::Access {
  Guarded<KvMemory*> memory;
  const KvLayout layout;
  const bool packed;

  Access(KvMemory& of, bool packs) : memory(&of), layout(of.layout()), packed(packs) {}
  size_t block_bytes() const { return wire_block_bytes(layout, packed); }
  void close() {
    memory.with([](KvMemory*& open) { open = nullptr; });
  }
  // How many were written: all, unless what comes is no packed block.
  uint32_t write(std::span<const uint32_t> blocks, std::span<const std::byte> bytes) {
    return memory.with([&](KvMemory* open) {
      uint32_t done = 0;
      for (; open != nullptr && done < blocks.size(); ++done) {
        const auto from = bytes.subspan(done * block_bytes(), block_bytes());
        const std::span<std::byte> into = open->block(blocks[done]);
        if (!packed) {
          std::memcpy(into.data(), from.data(), from.size());
        } else if (!unpack_block(layout, from, into)) {
          break;
        }
      }
      return done;
    });
  }
  bool read(std::span<const uint32_t> blocks, std::vector<std::byte>& bytes) {
    return memory.with([&](const KvMemory* open) {
      if (open == nullptr) return false;
      bytes.resize(blocks.size() * block_bytes());
      for (size_t i = 0; i < blocks.size(); ++i) {
        const auto into = std::span(bytes).subspan(i * block_bytes(), block_bytes());
        const std::span<const std::byte> from = open->block(blocks[i]);
        if (packed) {
          pack_block(layout, from, into);
        } else {
          std::memcpy(into.data(), from.data(), from.size());
        }
      }
      return true;
    });
  }
  // On the thread.
  KvFetched load(BlockStore& store, const StoredPrompt& prompt, uint32_t first,
                 std::span<const uint32_t> blocks, std::vector<std::byte>& bytes) {
    bytes.resize(blocks.size() * block_bytes());
    const auto count = static_cast<uint32_t>(blocks.size());
    const LoadedBlocks loaded = store.load(prompt, first, count, bytes);
    const uint32_t written = write(blocks.first(loaded.blocks), bytes);
    if (written < loaded.blocks) return {written, "what is stored is no packed block"};
    return {written, loaded.problem};
  }
};

struct StoreConnector::Request {
  Phase phase = Phase::kFinding;
  std::shared_ptr<const StoredPrompt> prompt;
  std::shared_ptr<Access> access;  // while loading or saving
  TimerId patience = kNoTimer;
  TimePoint began{};       // to load
  size_t blocks = 0;       // that are loaded or saved
  bool keeps = false;      // offer() is to follow
  bool forgotten = false;  // while it is saved
};

StoreConnector::StoreConnector(std::string name, std::shared_ptr<BlockStore> store,
                               const StoreConnectorOptions& options, KvMemory& memory,
                               Executor& loop, Owner& owner)
    : name_(std::move(name)),
      store_(std::move(store)),
      scratch_(std::make_shared<std::vector<std::byte>>()),
      options_(options),
      memory_(memory),
      loop_(loop),
      owner_(owner),
      link_(options.link, memory.layout().scale),
      thread_(loop, options.waiting_max) {}

StoreConnector::~StoreConnector() {
  for (auto& [request, about] : requests_) {
    loop_.cancel(about.patience);
    if (about.access != nullptr) about.access->close();
  }
}

void StoreConnector::check_store() {
  const auto use = [this](const Result<void>& usable) {
    if (usable) return;
    ++stats_.refused_peers;
    log_warning(name_ + ": " + usable.error().message +
                "; until it answers, prompts are computed here and not stored");
  };
  const bool taken = thread_.submit([use, store = store_](const StoreThread::Tell&) {
    return [use, usable = store->usable()] { use(usable); };
  });
  if (!taken) use(Error{"there is no thread for the store"});
}

void StoreConnector::plan(KvRequestId request, const KvRequest& about) {
  if (about.blocks.empty()) {
    owner_.on_planned(request, KvPlan{});
    return;
  }
  auto prompt = std::make_shared<StoredPrompt>();
  prompt->tokens.assign(about.prompt.begin(), about.prompt.end());
  prompt->blocks.assign(about.blocks.begin(), about.blocks.end());
  Request& made = requests_[request];
  made.prompt = prompt;
  const bool taken = thread_.submit(
      [this, store = store_, prompt, request](const StoreThread::Tell&) -> StoreThread::Use {
        return [this, request, found = store->find(*prompt)] { on_found(request, found); };
      });
  if (!taken) {
    on_found(request, {0, true, "too much work waits for it"});
    return;
  }
  await(request, made, Phase::kFinding, options_.find_patience);
}

void StoreConnector::on_found(KvRequestId request, FoundBlocks found) {
  Request* const about = find(request, Phase::kFinding);
  if (about == nullptr) return;
  end_wait(*about);
  about->phase = Phase::kPlanned;
  if (!found.problem.empty()) {
    ++stats_.refused_peers;
    say("a stored prompt is not used", found.problem);
  }
  // One token is left to compute.
  const size_t tokens = about->prompt->tokens.size();
  const auto most = static_cast<uint32_t>((tokens - 1) / memory_.layout().block_size);
  const KvPlan plan{std::min(found.blocks, most), options_.saves && !found.nothing_to_save};
  about->keeps = plan.keeps;
  if (plan.remote_blocks == 0 && !plan.keeps) requests_.erase(request);
  owner_.on_planned(request, plan);
}

void StoreConnector::fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) {
  Request* const about = find(request, Phase::kPlanned);
  if (about == nullptr || blocks.empty()) {
    const bool known = about != nullptr;
    if (known && !about->keeps) requests_.erase(request);
    owner_.on_fetched(request, {0, known ? "" : "its request is not known"});
    return;
  }
  about->access = std::make_shared<Access>(memory_, options_.compress);
  about->blocks = blocks.size();
  about->began = loop_.clock().now();
  const size_t ahead = options_.pipelining ? options_.first_blocks : 0;
  const bool taken = thread_.submit(
      [this, store = store_, prompt = about->prompt, access = about->access, scratch = scratch_,
       &clock = loop_.clock(), request, first, blocks = std::move(blocks), asked = about->began,
       ahead](const StoreThread::Tell& tell) -> StoreThread::Use {
        const Duration waited = clock.now() - asked;
        std::span<const uint32_t> rest = blocks;
        KvFetched fetched;
        if (ahead > 0 && ahead < rest.size()) {
          fetched = access->load(*store, *prompt, first, rest.first(ahead), *scratch);
          rest = rest.subspan(ahead);
          if (fetched.problem.empty()) tell([this, request] { on_loading(request); });
        }
        if (fetched.problem.empty()) {
          KvFetched part = access->load(*store, *prompt, first + fetched.blocks, rest, *scratch);
          fetched = {fetched.blocks + part.blocks, std::move(part.problem)};
        }
        trim(*scratch);
        return [this, request, waited, asked, fetched = std::move(fetched)] {
          after_link(asked, fetched.blocks, [=, this] { on_loaded(request, fetched, waited); });
        };
      });
  await(request, *about, Phase::kLoading, options_.load_patience);
  if (!taken) on_loaded(request, {0, "too much work waits for it"}, {});
}

void StoreConnector::on_loading(KvRequestId request) {
  if (find(request, Phase::kLoading) != nullptr) owner_.on_fetching(request);
}

void StoreConnector::after_link(TimePoint began, size_t blocks, std::function<void()> use) {
  const TimePoint through =
      link_.take(began, blocks * wire_block_bytes(memory_.layout(), options_.compress));
  const Duration left = through + link_.latency() - loop_.clock().now();
  if (blocks == 0 || left <= Duration::zero()) return use();
  loop_.after(left, lifeline_.guard(std::move(use)));
}

void StoreConnector::on_loaded(KvRequestId request, KvFetched fetched, Duration waited) {
  Request* const about = find(request, Phase::kLoading);
  if (about == nullptr) return;
  end_wait(*about);
  about->phase = Phase::kPlanned;  // unless it ends here
  const uint64_t bytes = fetched.blocks * wire_block_bytes(memory_.layout(), options_.compress);
  if (!fetched.problem.empty()) ++stats_.failed_transfers;
  if (fetched.blocks > 0) {
    ++stats_.transfers;
    stats_.bytes += bytes;
    if (records_.size() < kRecordsMost) {
      records_.push_back({bytes, fetched.blocks, waited, loop_.clock().now() - about->began});
    }
  }
  if (!about->keeps) requests_.erase(request);
  owner_.on_fetched(request, std::move(fetched));
}

void StoreConnector::offer(KvRequestId request, std::vector<uint32_t> blocks, uint32_t) {
  Request* const about = find(request, Phase::kPlanned);
  if (about == nullptr || blocks.size() != about->prompt->blocks.size()) {
    requests_.erase(request);
    owner_.on_offered(request, {});
    owner_.on_released(request);
    return;
  }
  about->access = std::make_shared<Access>(memory_, options_.compress);
  about->blocks = blocks.size();
  stats_.offers += blocks.size();
  const bool taken =
      thread_.submit([this, store = store_, prompt = about->prompt, access = about->access,
                      scratch = scratch_, request, blocks = std::move(blocks),
                      asked = loop_.clock().now()](const StoreThread::Tell&) -> StoreThread::Use {
        std::vector<std::byte>& bytes = *scratch;
        if (!access->read(blocks, bytes)) return [] {};
        Result<void> saved = store->save(*prompt, bytes);
        trim(bytes);
        return [this, request, asked, count = blocks.size(), saved = std::move(saved)] {
          after_link(asked, saved ? count : 0, [=, this] { on_saved(request, saved); });
        };
      });
  await(request, *about, Phase::kSaving, options_.save_patience);
  if (!taken) on_saved(request, Error{"too much work waits for it"});
}

void StoreConnector::on_saved(KvRequestId request, const Result<void>& saved) {
  Request* const about = find(request, Phase::kSaving);
  if (about == nullptr) return;
  end_wait(*about);
  stats_.offers -= about->blocks;
  if (!saved) {
    ++stats_.failed_transfers;
    say("a prompt is not stored", saved.error().message);
  }
  const bool forgotten = about->forgotten;
  requests_.erase(request);
  if (!forgotten) owner_.on_offered(request, {});
  owner_.on_released(request);
}

void StoreConnector::forget(KvRequestId request) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return;
  if (found->second.phase == Phase::kSaving) {
    found->second.forgotten = true;
    return;
  }
  const bool loading = found->second.phase == Phase::kLoading;
  end_wait(found->second);
  requests_.erase(found);
  if (loading) owner_.on_fetched(request, {0, "its client left"});
}

KvTransferStats StoreConnector::stats() const {
  return stats_;
}

std::vector<KvTransferRecord> StoreConnector::take_records() {
  return std::exchange(records_, {});
}

StoreConnector::Request* StoreConnector::find(KvRequestId request, Phase phase) {
  const auto found = requests_.find(request);
  return found == requests_.end() || found->second.phase != phase ? nullptr : &found->second;
}

void StoreConnector::await(KvRequestId request, Request& about, Phase phase, Duration patience) {
  about.phase = phase;
  about.patience = loop_.after(patience, [this, request] { on_late(request); });
}

void StoreConnector::on_late(KvRequestId request) {
  const auto found = requests_.find(request);
  KVASIR_ASSERT(found != requests_.end(), "patience ends with what it is for");
  switch (found->second.phase) {
    case Phase::kFinding:
      // Neither is it asked to save what it may have.
      return on_found(request, {0, true, "it does not answer in time"});
    case Phase::kLoading:
      return on_loaded(request, {0, "they do not come in time"}, {});
    case Phase::kSaving:
      return on_saved(request, Error{"it takes too long"});
    case Phase::kPlanned:
      return;
  }
}

// Nothing touches its blocks from now on.
void StoreConnector::end_wait(Request& about) {
  loop_.cancel(about.patience);
  about.patience = kNoTimer;
  if (about.access != nullptr) about.access->close();
  about.access = nullptr;
}

void StoreConnector::say(std::string_view what, const std::string& problem) const {
  log_repeated(LogLevel::kWarning, name_ + ": " + std::string(what),
               name_ + ": " + std::string(what) + ": " + problem);
}

}  // namespace kvasir
