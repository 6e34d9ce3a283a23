#include "conformance/subject.h"

#include <algorithm>
#include <utility>

#include "conformance/request_phase.h"
#include "conformance/scripted_exchange.h"
#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

// Exchanges that are spent on learning the pool.
constexpr int kProbes = 16;

Result<std::unique_ptr<GrpcClient>> client_of(EventLoop& loop, const HostPort& target) {
  SystemResolver resolver;
  const Result<SocketAddress> address = look_up_first(loop, resolver, target);
  if (!address) return address.error();
  return std::make_unique<GrpcClient>(loop, *address, to_string(target));
}

}  // namespace

Result<std::unique_ptr<Subject>> Subject::create(SubjectOptions options) {
  std::unique_ptr<Subject> subject(new Subject(std::move(options)));
  auto loop = EventLoop::create();
  if (!loop) return loop.error();
  subject->loop_ = std::move(*loop);
  auto client = client_of(*subject->loop_, subject->options_.target);
  if (!client) return client.error();
  subject->client_ = std::move(*client);
  auto health = client_of(*subject->loop_,
                          subject->options_.health_target.value_or(subject->options_.target));
  if (!health) return health.error();
  subject->health_client_ = std::move(*health);
  if (!subject->options_.empty_target) return subject;
  auto empty = client_of(*subject->loop_, *subject->options_.empty_target);
  if (!empty) return empty.error();
  subject->empty_client_ = std::move(*empty);
  return subject;
}

bool Subject::run_until(const std::function<bool()>& done) {
  bool late = false;
  const TimerId timer = loop_->after(options_.timeout, [this, &late] {
    late = true;
    loop_->stop();
  });
  while (!done() && !late) {
    loop_->post([] {});  // what was sent from outside the loop goes out at the end of an iteration
    loop_->run();
  }
  loop_->cancel(timer);
  return done();
}

const std::vector<std::string>& Subject::endpoints() {
  if (endpoints_) return *endpoints_;
  endpoints_ = options_.endpoints;
  for (int i = 0; endpoints_->empty() ? i < 1 : i < kProbes && options_.endpoints.empty(); ++i) {
    const RequestPhase phase = ask(*this, completion(*this));
    for (const std::string& endpoint : split_picks(phase.pick().value_or(""))) {
      if (std::find(endpoints_->begin(), endpoints_->end(), endpoint) == endpoints_->end()) {
        endpoints_->push_back(endpoint);
      }
    }
  }
  return *endpoints_;
}

}  // namespace kvasir
