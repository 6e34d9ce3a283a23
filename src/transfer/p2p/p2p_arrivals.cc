#include "transfer/p2p/p2p_arrivals.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "transfer/packed_block.h"

namespace kvasir {

P2pArrivals::P2pArrivals(Executor& executor, KvMemory& memory, const P2pArrivalOptions& options,
                         OnReceived on_received, OnReceiving on_receiving)
    : executor_(executor),
      memory_(memory),
      options_(options),
      on_received_(std::move(on_received)),
      on_receiving_(std::move(on_receiving)),
      inbox_(options.limits),
      unwanted_(options.unwanted),
      link_(options.link, options.scale) {}

P2pArrivals::~P2pArrivals() {
  executor_.cancel(sweep_);
  for (const auto& [request, wait] : waits_) executor_.cancel(wait.patience);
}

std::shared_ptr<P2pTensor> P2pArrivals::announce(const std::string& key, uint32_t first,
                                                 uint32_t count, BlockHash last_block,
                                                 bool packed) {
  if (sweep_ == kNoTimer) sweep_ = executor_.after(options_.keep, [this] { sweep(); });
  const size_t bytes = count * wire_block_bytes(memory_.layout(), packed);
  auto tensor = inbox_.reserve(key, first, count, last_block, bytes, executor_.now());
  if (tensor == nullptr) {
    look(key);
  } else {
    tensor->packed = packed;
  }
  return tensor;
}

void P2pArrivals::arrived(const std::string& key, std::shared_ptr<P2pTensor> tensor, bool sound) {
  if (!sound) {
    tensor->failed = true;
    return fail(key);
  }
  const auto use = [this, key, tensor] {
    tensor->whole = true;
    look(key);
  };
  const TimePoint through = link_.take(executor_.now(), tensor->size);
  const Duration left = through + link_.latency() - executor_.now();
  for (auto& [request, wait] : waits_) {
    if (wait.awaited.key == key) be_patient(wait, left + options_.receive_patience);
  }
  if (left <= Duration::zero()) return use();
  executor_.after(left, lifeline_.guard(use));
}

void P2pArrivals::fail(const std::string& key) {
  inbox_.fail(key, executor_.now());
  look(key);
}

void P2pArrivals::drop(const std::string& key, size_t blocks) {
  if (!inbox_.remove(key, blocks)) unwanted_.add(key, executor_.now());
}

void P2pArrivals::wait(P2pAwaited awaited) {
  unwanted_.take(awaited.key, executor_.now());
  Wait& wait = waits_[awaited.request];
  wait.awaited = std::move(awaited);
  be_patient(wait, options_.receive_patience);
  look(wait);
}

void P2pArrivals::be_patient(Wait& wait, Duration how_long) {
  executor_.cancel(wait.patience);
  wait.patience =
      executor_.after(how_long, [this, request = wait.awaited.request] { on_late(request); });
}

void P2pArrivals::on_late(KvRequestId request) {
  Wait& wait = waits_.at(request);
  copy(wait, find(wait));
  Outcome outcome = wait.outcome;
  outcome.late = true;
  if (outcome.fetched.problem.empty()) outcome.fetched.problem = "they do not come in time";
  end(request, outcome);
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

// Of what it has not got yet.
P2pInbox::Found P2pArrivals::find(const Wait& wait) const {
  const uint32_t done = wait.outcome.fetched.blocks;
  const auto count = static_cast<uint32_t>(wait.awaited.blocks.size());
  return inbox_.find(wait.awaited.key, wait.awaited.first + done, count - done);
}

// Whether it ended.
bool P2pArrivals::look(Wait& wait) {
  const P2pAwaited& awaited = wait.awaited;
  const P2pInbox::Found found = find(wait);
  copy(wait, found);
  if (found.waits) {
    const bool begins = !found.tensors.empty() && !wait.receiving && on_receiving_;
    wait.receiving = wait.receiving || begins;
    if (begins) on_receiving_(awaited.request);
    return false;
  }
  Outcome outcome = wait.outcome;
  if (outcome.fetched.blocks < awaited.blocks.size() && outcome.fetched.problem.empty()) {
    outcome.fetched.problem = "the prefiller could not send all of them";
  }
  end(awaited.request, outcome);
  return true;
}

// Each as it comes, while it lies in the cache; nothing behind what is refused.
void P2pArrivals::copy(Wait& wait, const P2pInbox::Found& found) {
  const P2pAwaited& awaited = wait.awaited;
  Outcome& outcome = wait.outcome;
  if (outcome.refused) return;
  uint32_t& done = outcome.fetched.blocks;
  const auto count = static_cast<uint32_t>(awaited.blocks.size());
  for (const auto& tensor : found.tensors) {
    const size_t last = size_t{tensor->first} + tensor->count - 1;
    if (last >= awaited.hashes.size() || awaited.hashes[last] != tensor->last_block) {
      outcome.refused = true;
      outcome.fetched.problem = "what came is of another prompt";
      return;
    }
    while (done < count && awaited.first + done <= last) {
      const size_t size = wire_block_bytes(memory_.layout(), tensor->packed);
      const auto from =
          std::span(tensor->bytes).subspan((awaited.first + done - tensor->first) * size, size);
      const std::span<std::byte> into = memory_.block(awaited.blocks[done]);
      if (!tensor->packed) {
        std::memcpy(into.data(), from.data(), size);
      } else if (!unpack_block(memory_.layout(), from, into)) {
        outcome.refused = true;
        outcome.fetched.problem = "what came is no packed block";
        return;
      }
      outcome.bytes += size;
      ++done;
    }
    inbox_.take(*tensor);
  }
}

void P2pArrivals::end(KvRequestId request, const Outcome& outcome) {
  auto node = waits_.extract(request);
  executor_.cancel(node.mapped().patience);
  const P2pAwaited& awaited = node.mapped().awaited;
  drop(awaited.key, awaited.hashes.size());
  on_received_(awaited, outcome);
}

void P2pArrivals::sweep() {
  expired_ += inbox_.remove_older(executor_.now() - options_.keep);
  sweep_ =
      inbox_.requests() == 0 ? kNoTimer : executor_.after(options_.keep / 4, [this] { sweep(); });
}

}  // namespace kvasir
