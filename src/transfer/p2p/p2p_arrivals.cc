#include "transfer/p2p/p2p_arrivals.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kvasir {

P2pArrivals::P2pArrivals(Executor& executor, KvMemory& memory, const P2pArrivalOptions& options,
                         OnReceived on_received)
    : executor_(executor),
      memory_(memory),
      options_(options),
      on_received_(std::move(on_received)),
      inbox_(options.limits) {}

P2pArrivals::~P2pArrivals() {
  executor_.cancel(sweep_);
  for (const auto& [request, wait] : waits_) executor_.cancel(wait.patience);
}

std::shared_ptr<P2pTensor> P2pArrivals::announce(const std::string& key, uint32_t first,
                                                 uint32_t count, BlockHash last_block) {
  if (sweep_ == kNoTimer) sweep_ = executor_.after(options_.keep, [this] { sweep(); });
  const size_t bytes = count * memory_.layout().block_bytes();
  auto tensor = inbox_.reserve(key, first, count, last_block, bytes, executor_.now());
  if (tensor == nullptr) look(key);
  return tensor;
}

void P2pArrivals::arrived(const std::string& key, P2pTensor& tensor, bool sound) {
  if (!sound) return fail(key);
  tensor.whole = true;
  look(key);
}

void P2pArrivals::fail(const std::string& key) {
  inbox_.fail(key, executor_.now());
  look(key);
}

void P2pArrivals::wait(P2pAwaited awaited) {
  const KvRequestId request = awaited.request;
  Wait& wait = waits_[request];
  wait.awaited = std::move(awaited);
  wait.patience = executor_.after(options_.receive_patience, [this, request] {
    Wait& late = waits_.at(request);
    Outcome outcome =
        copy(late.awaited, inbox_.find(late.awaited.key, late.awaited.first,
                                       static_cast<uint32_t>(late.awaited.blocks.size())));
    outcome.late = true;
    if (outcome.fetched.problem.empty()) outcome.fetched.problem = "they do not come in time";
    end(request, outcome);
  });
  look(wait);
}

void P2pArrivals::give_up(KvRequestId request, const std::string& why) {
  if (waits_.count(request) > 0) end(request, {{0, why}, false, false});
}

void P2pArrivals::look(const std::string& key) {
  // A request's end leads to others' only through the executor.
  for (auto wait = waits_.begin(); wait != waits_.end();) {
    Wait& one = (wait++)->second;
    if (one.awaited.key == key && look(one)) return;
  }
}

// Whether it ended.
bool P2pArrivals::look(Wait& wait) {
  const P2pAwaited& awaited = wait.awaited;
  const auto count = static_cast<uint32_t>(awaited.blocks.size());
  const P2pInbox::Found found = inbox_.find(awaited.key, awaited.first, count);
  if (found.waits) return false;
  Outcome outcome = copy(awaited, found);
  if (outcome.fetched.blocks < count && outcome.fetched.problem.empty()) {
    outcome.fetched.problem = "the prefiller could not send all of them";
  }
  end(awaited.request, outcome);
  return true;
}

P2pArrivals::Outcome P2pArrivals::copy(const P2pAwaited& awaited, const P2pInbox::Found& found) {
  Outcome outcome;
  const size_t size = memory_.layout().block_bytes();
  uint32_t done = 0;
  const auto count = static_cast<uint32_t>(awaited.blocks.size());
  for (const auto& tensor : found.tensors) {
    const size_t last = size_t{tensor->first} + tensor->count - 1;
    if (last >= awaited.hashes.size() || awaited.hashes[last] != tensor->last_block) {
      outcome.refused = true;
      outcome.fetched.problem = "what came is of another prompt";
      break;
    }
    while (done < count && awaited.first + done <= last) {
      const std::byte* const from =
          tensor->bytes.data() + (awaited.first + done - tensor->first) * size;
      std::memcpy(memory_.block(awaited.blocks[done]).data(), from, size);
      ++done;
    }
  }
  outcome.fetched.blocks = done;
  return outcome;
}

void P2pArrivals::end(KvRequestId request, const Outcome& outcome) {
  auto node = waits_.extract(request);
  executor_.cancel(node.mapped().patience);
  inbox_.remove(node.mapped().awaited.key);
  on_received_(node.mapped().awaited, outcome);
}

void P2pArrivals::sweep() {
  expired_ += inbox_.remove_older(executor_.now() - options_.keep);
  sweep_ =
      inbox_.requests() == 0 ? kNoTimer : executor_.after(options_.keep / 4, [this] { sweep(); });
}

}  // namespace kvasir
