#include "net/io/system_resolver.h"

#include <netdb.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/guarded.h"
#include "base/lifeline.h"
#include "net/io/detached_thread.h"

namespace kvasir {

// What the threads own together with the Resolver and its look-ups.
struct SystemResolver::Shared {
  struct Listener {
    const Waiting* look_up;
    Answered post;  // to the executor of the look-up
  };
  struct State {
    std::map<std::string, std::vector<Listener>> listeners;  // by host, of what is not answered
    std::deque<std::string> queue;                           // hosts which no thread has taken yet
    size_t threads = 0;
    size_t look_ups = 0;
  };
  enum class Joined { kRefused, kWaits, kNeedsThread };

  Shared(ResolverLimits limits_given, Ask ask_given)
      : limits(limits_given), ask(std::move(ask_given)) {}

  Joined join(const std::string& host, Listener listener);
  void leave(const std::string& host, const Waiting& look_up);
  // A thread: looks up what is queued, until there is nothing.
  void run();

  const ResolverLimits limits;
  const Ask ask;
  Guarded<State> state;

 private:
  std::optional<std::string> take_next();
  void answer(const std::string& host, const Result<Addresses>& found);
};

SystemResolver::Shared::Joined SystemResolver::Shared::join(const std::string& host,
                                                            Listener listener) {
  return state.with([&](State& now) {
    if (now.look_ups >= limits.look_ups_max) return Joined::kRefused;
    ++now.look_ups;
    const auto [at, is_new] = now.listeners.try_emplace(host);
    at->second.push_back(std::move(listener));
    if (!is_new) return Joined::kWaits;
    now.queue.push_back(host);
    if (now.threads >= limits.threads_max) return Joined::kWaits;
    ++now.threads;
    return Joined::kNeedsThread;
  });
}

// A look-up that a thread has begun stays: whoever asks for the same host meanwhile joins it.
void SystemResolver::Shared::leave(const std::string& host, const Waiting& look_up) {
  state.with([&](State& now) {
    const auto at = now.listeners.find(host);
    if (at == now.listeners.end()) return;
    now.look_ups -= std::erase_if(
        at->second, [&](const Listener& listener) { return listener.look_up == &look_up; });
    if (!at->second.empty() || std::erase(now.queue, host) == 0) return;
    now.listeners.erase(at);
  });
}

std::optional<std::string> SystemResolver::Shared::take_next() {
  return state.with([](State& now) -> std::optional<std::string> {
    if (now.queue.empty()) {
      --now.threads;
      return std::nullopt;
    }
    std::string host = std::move(now.queue.front());
    now.queue.pop_front();
    return host;
  });
}

// Posts with the mutex held: a look-up that listens still has its executor, and leaves the list
// before the executor goes.
void SystemResolver::Shared::answer(const std::string& host, const Result<Addresses>& found) {
  state.with([&](State& now) {
    const auto at = now.listeners.find(host);
    if (at == now.listeners.end()) return;
    now.look_ups -= at->second.size();
    for (const Listener& listener : at->second) listener.post(found);
    now.listeners.erase(at);
  });
}

void SystemResolver::Shared::run() {
  while (const std::optional<std::string> host = take_next()) answer(*host, ask(*host));
}

class SystemResolver::Waiting final : public Resolver::LookUp {
 public:
  Waiting(std::shared_ptr<Shared> shared, Executor& executor, std::string host, Answered answered)
      : shared_(std::move(shared)),
        executor_(executor),
        host_(std::move(host)),
        answered_(std::move(answered)) {}
  ~Waiting() override {
    executor_.cancel(timer_);
    if (joined_) shared_->leave(host_, *this);
  }

  void start() {
    if (const std::optional<SocketAddress> literal = literal_address(host_)) {
      return answer_later(Addresses{*literal});
    }
    const Answered post =
        lifeline_.posting(executor_, [this](const Result<Addresses>& found) { finish(found); });
    const Shared::Joined joined = shared_->join(host_, {this, post});
    if (joined == Shared::Joined::kRefused) return fail_later("too many look-ups are under way");
    joined_ = true;
    timer_ = executor_.after(shared_->limits.timeout, [this] { time_out(); });
    if (joined == Shared::Joined::kNeedsThread) start_thread();
  }

 private:
  void start_thread() {
    if (start_detached_thread([shared = shared_] { shared->run(); })) return;
    shared_->state.with([](Shared::State& now) { --now.threads; });
    leave();
    fail_later("the system gives no thread for it");
  }

  void time_out() {
    leave();
    finish(failure("no answer within " +
                   std::to_string(static_cast<long>(to_seconds(shared_->limits.timeout))) + " s"));
  }

  void leave() {
    shared_->leave(host_, *this);
    joined_ = false;
  }

  Error failure(const std::string& why) const {
    return Error{"cannot look up " + host_ + ": " + why};
  }
  void fail_later(const std::string& why) { answer_later(failure(why)); }
  void answer_later(Result<Addresses> answer) {
    executor_.post(lifeline_.guard([this, answer = std::move(answer)] { finish(answer); }));
  }

  // The last thing that happens: `answered` may destroy this.
  void finish(const Result<Addresses>& answer) {
    joined_ = false;
    executor_.cancel(std::exchange(timer_, kNoTimer));
    const Answered answered = std::exchange(answered_, nullptr);
    if (answered) answered(answer);
  }

  const std::shared_ptr<Shared> shared_;
  Executor& executor_;
  const std::string host_;
  Answered answered_;
  bool joined_ = false;  // a thread answers, or will
  TimerId timer_ = kNoTimer;
  Lifeline lifeline_;
};

SystemResolver::SystemResolver(ResolverLimits limits, Ask ask)
    : shared_(std::make_shared<Shared>(limits, std::move(ask))) {}

// The threads find nothing more to do.
SystemResolver::~SystemResolver() {
  shared_->state.with([](Shared::State& now) {
    now.queue.clear();
    now.listeners.clear();
  });
}

std::unique_ptr<Resolver::LookUp> SystemResolver::look_up(Executor& executor,
                                                          const std::string& host,
                                                          Answered answered) {
  auto waiting = std::make_unique<Waiting>(shared_, executor, host, std::move(answered));
  waiting->start();
  return waiting;
}

Result<Resolver::Addresses> SystemResolver::ask_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  // The name is known not to be, or known to have no address.
  if (failure == EAI_NONAME || failure == EAI_NODATA) return Addresses{};
  if (failure != 0) return Error{"cannot look up " + host + ": " + gai_strerror(failure)};
  Addresses addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const SocketAddress address = address_from(*one->ai_addr, one->ai_addrlen);
    const bool known = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    if (!known) addresses.push_back(address);
  }
  freeaddrinfo(found);
  return addresses;
}

}  // namespace kvasir
