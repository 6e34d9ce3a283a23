#include "legs/bootstrap_clients.h"

#include <utility>

#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {

std::optional<PrefillEngine> BootstrapClients::find(const HostPort& bootstrap) {
  const auto known = by_key_.find(to_string(bootstrap));
  if (known == by_key_.end()) return std::nullopt;
  if (loop_.now() - known->second->found >= limits_.lifetime) return std::nullopt;
  return any_of(known->second->engines);
}

std::unique_ptr<BootstrapClients::Question> BootstrapClients::ask(const HostPort& bootstrap,
                                                                  Found found) {
  return std::make_unique<Question>(*this, bootstrap, std::move(found));
}

void BootstrapClients::forget(const HostPort& bootstrap) {
  const auto known = by_key_.find(to_string(bootstrap));
  if (known == by_key_.end()) return;
  kept_.erase(known->second);
  by_key_.erase(known);
}

void BootstrapClients::keep(const HostPort& bootstrap, std::vector<PrefillEngine> engines) {
  forget(bootstrap);
  kept_.push_front({to_string(bootstrap), std::move(engines), loop_.now()});
  by_key_.emplace(kept_.front().key, kept_.begin());
  if (kept_.size() <= limits_.most) return;
  by_key_.erase(kept_.back().key);
  kept_.pop_back();
}

BootstrapClients::Question::Question(BootstrapClients& owner, const HostPort& bootstrap,
                                     Found found)
    : owner_(owner),
      bootstrap_({bootstrap, 0, {}, nullptr}),
      found_(std::move(found)),
      call_(owner.clients_, *this) {
  deadline_ = owner_.loop_.after(owner_.limits_.deadline, [this] {
    deadline_ = kNoTimer;
    finish(Error{"the bootstrap server has not answered in time"});
  });
  call_.start(bootstrap_,
              "GET /query HTTP/1.1\r\nHost: " + to_string(bootstrap) +
                  "\r\nAccept: application/json\r\n\r\n",
              {});
}

BootstrapClients::Question::~Question() {
  owner_.loop_.cancel(deadline_);
}

void BootstrapClients::Question::on_body(std::string_view bytes) {
  body_ += bytes;
  if (body_.size() > owner_.limits_.answer_bytes_max) {
    finish(Error{"the bootstrap server's answer is too large"});
  }
}

void BootstrapClients::Question::on_end() {
  call_.ended();
  if (status_ != kHttpOk) {
    return finish(Error{"the bootstrap server answers " + std::to_string(status_)});
  }
  Result<std::vector<PrefillEngine>> engines = read_bootstrap_engines(body_);
  if (!engines) return finish(engines.error());
  const PrefillEngine engine = owner_.any_of(*engines);
  owner_.keep(bootstrap_.address, std::move(*engines));
  finish(engine);
}

void BootstrapClients::Question::on_failure(const HttpFailure& failure) {
  call_.ended();
  finish(Error{"the bootstrap server: " + failure.message});
}

void BootstrapClients::Question::finish(const Result<PrefillEngine>& result) {
  call_.cancel();
  // A copy, for what is called may destroy this.
  const Found found = std::move(found_);
  found(result);
}

}  // namespace kvasir
