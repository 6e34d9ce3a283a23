#include "pdproxy/prefill_rooms.h"

#include <algorithm>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"

namespace kvasir {

class PrefillRoom::Owner : public std::enable_shared_from_this<Owner> {
 public:
  // Somebody in the queue. `room_here` is called and changed on the executor's thread alone.
  struct Waiter {
    Waiter(Executor& its_executor, RoomWish its_wish)
        : executor(its_executor), wish(std::move(its_wish)) {}

    Executor& executor;
    const RoomWish wish;
    RoomGrant grant;
    std::function<void()> room_here;
  };
  using WaiterRef = std::shared_ptr<Waiter>;

  Owner(PdWorkers& workers, const PdProxyOptions& options)
      : workers_(workers),
        tokens_max_(options.fs_prompt_tokens_max),
        waiting_max_(options.fs_waiting_max) {}

  std::optional<RoomGrant> take(const RoomWish& wish, TimePoint now) {
    return queue_.with([&](Queue& queue) -> std::optional<RoomGrant> {
      if (!queue.empty()) return std::nullopt;
      return grant(wish, {}, now);
    });
  }

  // False: as many wait as may.
  bool join(const WaiterRef& waiter) {
    const bool joined = queue_.with([&](Queue& queue) {
      if (queue.size() >= waiting_max_) return false;
      queue.push_back(waiter);
      return true;
    });
    if (joined) serve_queue();
    return joined;
  }

  // Whether it still waited.
  bool leave(const WaiterRef& waiter) {
    const bool left = queue_.with([&](Queue& queue) {
      const auto found = std::find(queue.begin(), queue.end(), waiter);
      if (found == queue.end()) return false;
      queue.erase(found);
      return true;
    });
    if (left) serve_queue();
    return left;
  }

  void give_back(PdWorker& worker, uint64_t tokens) {
    queue_.with([&](Queue&) { worker.prompt_tokens -= tokens; });
    serve_queue();
  }

  size_t waiting() const {
    return queue_.with([](const Queue& queue) { return queue.size(); });
  }

 private:
  using Queue = std::list<WaiterRef>;
  using Workers = std::vector<const PdWorker*>;

  // `claimed`: somebody waits for them who came before.
  std::optional<RoomGrant> grant(const RoomWish& wish, const Workers& claimed, TimePoint now) {
    const auto fits = [&](const PdWorker& worker) {
      return worker.prompt_tokens + wish.tokens <= tokens_max_ &&
             std::find(claimed.begin(), claimed.end(), &worker) == claimed.end();
    };
    RoomGrant given;
    PdWorkerRef worker = wish.only;
    if (worker == nullptr) {
      given.prefillers = workers_.candidates(P2pRole::kPrefill, wish.most, now, fits);
      if (given.prefillers.workers.empty()) return given;
      worker = given.prefillers.workers.front();
    }
    if (!fits(*worker)) return std::nullopt;
    worker->prompt_tokens += wish.tokens;
    given.room = PrefillRoom(shared_from_this(), std::move(worker), wish.tokens);
    return given;
  }

  void serve_queue() {
    // Outlives the lock: with the last reference goes the room.
    std::vector<WaiterRef> served;
    queue_.with([&](Queue& queue) {
      Workers claimed;
      for (auto next = queue.begin(); next != queue.end();) {
        const WaiterRef& waiter = *next;
        std::optional<RoomGrant> given =
            grant(waiter->wish, claimed, waiter->executor.clock().now());
        if (!given && waiter->wish.only == nullptr) break;
        if (!given) {
          claimed.push_back(waiter->wish.only.get());
          ++next;
          continue;
        }
        waiter->grant = std::move(*given);
        served.push_back(waiter);
        next = queue.erase(next);
        // With the lock held: who leaves is here until this is done.
        served.back()->executor.post([waiter = served.back()] {
          const auto tell = waiter->room_here;  // a copy: it may go while it is called
          if (tell) tell();
        });
      }
    });
  }

  PdWorkers& workers_;
  const uint64_t tokens_max_;
  const size_t waiting_max_;
  Guarded<Queue> queue_;  // and prompt_tokens of all workers
};

PrefillRoom::~PrefillRoom() {
  if (owner_ != nullptr) owner_->give_back(*worker_, tokens_);
}

class PrefillRooms::Wait final : public LegWait {
 public:
  Wait(std::shared_ptr<PrefillRoom::Owner> owner, Executor& executor, const RoomWish& wish,
       Told told)
      : owner_(std::move(owner)),
        executor_(executor),
        told_(std::move(told)),
        waiter_(std::make_shared<PrefillRoom::Owner::Waiter>(executor, wish)) {}

  ~Wait() override {
    executor_.cancel(timer_);
    waiter_->room_here = nullptr;
    owner_->leave(waiter_);
  }

  void start(Duration longest) {
    waiter_->room_here = [this] {
      executor_.cancel(std::exchange(timer_, kNoTimer));
      tell(std::move(waiter_->grant));
    };
    if (!owner_->join(waiter_)) {
      timer_ = executor_.after(Duration::zero(), [this] {
        timer_ = kNoTimer;
        tell(
            Error{"the prompts at the prefill workers leave no room for this one, and as many "
                  "requests as may be wait for it (--fs-max-waiting)"});
      });
      return;
    }
    timer_ = executor_.after(longest, [this] {
      timer_ = kNoTimer;
      if (!owner_->leave(waiter_)) return;  // room has come just now
      tell(Error{
          "the prompts at the prefill workers have left no room for this one in time (--fs-wait)"});
    });
  }

 private:
  void tell(Result<RoomGrant> outcome) {
    // A copy: what is called may destroy this.
    const Told told = told_;
    told(std::move(outcome));
  }

  const std::shared_ptr<PrefillRoom::Owner> owner_;
  Executor& executor_;
  const Told told_;
  const PrefillRoom::Owner::WaiterRef waiter_;
  TimerId timer_ = kNoTimer;
};

PrefillRooms::PrefillRooms(PdWorkers& workers, const PdProxyOptions& options)
    : longest_(options.fs_wait_max),
      owner_(std::make_shared<PrefillRoom::Owner>(workers, options)) {}

std::optional<RoomGrant> PrefillRooms::take(const RoomWish& wish, TimePoint now) {
  return owner_->take(wish, now);
}

std::unique_ptr<LegWait> PrefillRooms::wait(Executor& executor, const RoomWish& wish, Told told) {
  auto wait = std::make_unique<Wait>(owner_, executor, wish, std::move(told));
  wait->start(longest_);
  return wait;
}

size_t PrefillRooms::waiting() const {
  return owner_->waiting();
}

}  // namespace kvasir
