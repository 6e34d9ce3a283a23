#include "net/io/event_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

namespace kvasir {
namespace {

constexpr int kEventsPerWait = 512;
// A loop without timers wakes this often anyway.
constexpr Duration kLongestWait = std::chrono::seconds(10);

Error system_error(const char* call) {
  return Error{std::string(call) + ": " + std::strerror(errno)};
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return system_error("epoll_create1");
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    const Error error = system_error("eventfd");
    close(epoll);
    return error;
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // the wake descriptor has no handler
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) != 0) {
    const Error error = system_error("epoll_ctl");
    close(epoll);
    close(wake);
    return error;
  }
  return std::unique_ptr<EventLoop>(new EventLoop(epoll, wake));
}

EventLoop::EventLoop(int epoll_descriptor, int wake_descriptor)
    : epoll_(epoll_descriptor),
      wake_(wake_descriptor),
      now_(clock_.now()),
      ready_(kEventsPerWait),
      scratch_(std::make_unique<char[]>(kScratchBytes)) {}

EventLoop::~EventLoop() {
  run_deferred();
  close(wake_);
  close(epoll_);
}

void EventLoop::run() {
  stopped_ = false;
  while (!stopped_) {
    const int count = wait();
    now_ = clock_.now();
    batch_is_whole_ = count < kEventsPerWait;
    dispatch(count);
    fire_timers();
    run_posted();
    run_deferred();
    batch_is_whole_ = false;
  }
}

void EventLoop::stop() {
  post([this] { stopped_ = true; });
}

void EventLoop::post(std::function<void()> work) {
  {
    std::lock_guard<std::mutex> lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
}

void EventLoop::watch(int descriptor, uint32_t events, IoHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  KVASIR_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0, "epoll takes every socket");
}

void EventLoop::modify(int descriptor, uint32_t events, IoHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  KVASIR_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) == 0, "the descriptor is watched");
}

void EventLoop::unwatch(int descriptor, IoHandler& handler) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  for (size_t i = next_ready_; i < ready_count_; ++i) {
    if (ready_[i].data.ptr == &handler) ready_[i].events = 0;
  }
}

bool EventLoop::told_all(const IoHandler& handler) const {
  if (!batch_is_whole_) return false;
  for (size_t i = next_ready_; i < ready_count_; ++i) {
    if (ready_[i].data.ptr == &handler) return false;
  }
  return true;
}

TimerId EventLoop::after(Duration delay, std::function<void()> work) {
  return timers_.add(time_after(clock_.now(), delay), std::move(work));
}

Duration EventLoop::until_next_timer() const {
  const std::optional<TimePoint> next = timers_.next();
  if (!next) return kLongestWait;
  return std::clamp<Duration>(*next - clock_.now(), Duration::zero(), kLongestWait);
}

int EventLoop::wait() {
  const Duration left = until_next_timer();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  timespec timeout{};
  timeout.tv_sec = seconds.count();
  timeout.tv_nsec = (left - seconds).count();
  int count = epoll_pwait2(epoll_, ready_.data(), kEventsPerWait, &timeout, nullptr);
  if (count < 0 && errno == ENOSYS) {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(left);
    count = epoll_wait(epoll_, ready_.data(), kEventsPerWait, static_cast<int>(whole.count()));
  }
  KVASIR_ASSERT(count >= 0 || errno == EINTR, "the epoll descriptor is open");
  return std::max(count, 0);
}

void EventLoop::dispatch(int count) {
  ready_count_ = static_cast<size_t>(count);
  for (size_t i = 0; i < ready_count_; ++i) {
    next_ready_ = i + 1;
    const epoll_event event = ready_[i];
    if (event.events == 0) continue;  // unwatched by a handler earlier in this batch
    if (event.data.ptr == nullptr) {
      uint64_t ignored;
      [[maybe_unused]] const ssize_t bytes = read(wake_, &ignored, sizeof ignored);
      continue;
    }
    static_cast<IoHandler*>(event.data.ptr)->on_io(event.events);
  }
  ready_count_ = next_ready_ = 0;
}

void EventLoop::fire_timers() {
  const TimePoint due = clock_.now();
  while (const std::function<void()> work = timers_.take_due(due)) work();
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard<std::mutex> lock(posted_mutex_);
    work.swap(posted_);
  }
  for (const auto& item : work) item();
}

void EventLoop::run_deferred() {
  while (!deferred_.empty()) {
    std::vector<std::function<void()>> work;
    work.swap(deferred_);
    for (const auto& item : work) item();
  }
}

}  // namespace kvasir
