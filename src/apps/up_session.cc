#include "apps/up_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "apps/up_text.h"
#include "net/http/http_status.h"

namespace kvasir {
namespace {

constexpr Duration kStopGrace = std::chrono::seconds(3);
constexpr Duration kTick = std::chrono::seconds(1);
constexpr char kEraseLine[] = "\r\033[K";

// The first word of our own command line.
std::string called_as() {
  std::string word;
  std::ifstream words("/proc/self/cmdline", std::ios::binary);
  std::getline(words, word, '\0');
  return word.empty() ? "kvasir" : word;
}

}  // namespace

Result<void> UpSession::run() {
  terminal_ = isatty(STDOUT_FILENO) != 0;
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return loop.error();
  loop_ = std::move(*loop);
  started_at_ = loop_->clock().now();
  Result<std::unique_ptr<SignalWatcher>> signals =
      SignalWatcher::create(*loop_, {SIGINT, SIGTERM, SIGHUP}, [this](int) { on_signal(); });
  if (!signals) return signals.error();
  signals_ = std::move(*signals);
  Result<void> started = start_fleet();
  if (!started) return started;
  loop_->run();
  fleet_.reset();
  if (failure_) return *failure_;
  say("Stopped.");
  return {};
}

Result<void> UpSession::start_fleet() {
  const Result<SocketAddress> address = resolve(options_.host, 0);
  if (!address) return address.error();
  FleetOptions options = options_;
  options.notify = [this](const std::string& line) { say(line); };
  Result<std::unique_ptr<FleetSupervisor>> fleet = FleetSupervisor::start(*loop_, options);
  if (!fleet) return fleet.error();
  fleet_ = std::move(*fleet);
  origin_ = {options_.host, fleet_->gateway_port()};
  client_ = std::make_unique<HttpClient>(*loop_, with_port(*address, origin_.port));
  query_ = std::make_unique<HttpQuery>(*client_, origin_);
  say(starting_text(options_));
  fleet_->when_ready([this](const Result<void>& outcome) { on_ready(outcome); });
  return {};
}

void UpSession::on_ready(const Result<void>& outcome) {
  if (stopping_) return;
  if (!outcome) return fail(outcome.error());
  ask_for_model();
}

void UpSession::ask_for_model() {
  query_->get("/v1/models", [this](Result<HttpAnswer> answer) {
    if (stopping_) return;
    if (!answer) return fail(Error{"GET /v1/models failed: " + answer.error().message});
    const Result<std::string> model = read_first_model(answer->body);
    if (!model) return fail(model.error());
    model_ = *model;
    send_first_request();
  });
}

void UpSession::send_first_request() {
  const TimePoint sent = loop_->clock().now();
  query_->post_json("/v1/completions", first_request(model_),
                    [this, sent](Result<HttpAnswer> answer) {
                      if (stopping_) return;
                      if (!answer)
                        return fail(Error{"the first request failed: " + answer.error().message});
                      on_first_answer(*answer, loop_->clock().now() - sent);
                    });
}

void UpSession::on_first_answer(const HttpAnswer& answer, Duration took) {
  if (answer.head.status() != kHttpOk) {
    return fail(Error{fmt::format("the first request was answered with {}: {}",
                                  answer.head.status(), answer.body)});
  }
  const Result<std::string> text = read_first_text(answer.body);
  if (!text) return fail(text.error());
  const std::string endpoint(answer.head.find("x-selected-pod").value_or("an unnamed worker"));
  if (options_.description) say(who_is_who_text(fleet_->processes(), options_.host));
  say(first_answer_text(*text, endpoint, took));
  say(welcome_text(
      {called_as(), url(), model_, options_.time_scale, loop_->clock().now() - started_at_}));
  tick();
}

void UpSession::tick() {
  if (stopping_) return;
  loop_->after(kTick, [this] { tick(); });
  if (query_->busy()) return show(std::nullopt);
  query_->get("/metrics", [this](Result<HttpAnswer> answer) {
    if (stopping_) return;
    const bool known = answer.ok() && answer->head.status() == kHttpOk;
    show(known ? std::optional(read_gateway_numbers(answer->body)) : std::nullopt);
  });
}

void UpSession::show(const std::optional<GatewayNumbers>& numbers) {
  for (const std::string& change :
       status_.update(loop_->clock().now(), fleet_->processes(), numbers)) {
    say(change);
  }
  if (!terminal_) return;
  out_.write(kEraseLine + status_.line());
}

void UpSession::say(const std::string& text) {
  out_.write((terminal_ ? kEraseLine : "") + text + "\n");
}

// The second one does not wait for anything: run() kills what is left.
void UpSession::on_signal() {
  if (std::exchange(stopping_, true) || !fleet_) return loop_->stop();
  say("Stopping ...");
  fleet_->stop(kStopGrace, [this] { loop_->stop(); });
}

void UpSession::fail(Error reason) {
  failure_ = std::move(reason);
  stopping_ = true;
  loop_->stop();
}

}  // namespace kvasir
