#include "kube/kube_client.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>

#include "base/lifeline.h"
#include "base/text.h"
#include "kube/kube_credentials.h"
#include "kube/kube_server.h"
#include "kube/kube_time.h"
#include "net/http/http_call.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

constexpr size_t kQuotedBytesMax = 200;           // of an answer that is no Status
constexpr size_t kKeptLineBytesMax = 256 * 1024;  // a larger buffer is given back
constexpr size_t kErrorBytesMax = 1024 * 1024;    // of the answer to a watch that is refused

#if defined(__x86_64__)
constexpr char kArchitecture[] = "amd64";
#elif defined(__aarch64__)
constexpr char kArchitecture[] = "arm64";
#else
constexpr char kArchitecture[] = "other";
#endif

KubeAnswer no_answer(std::string why) {
  KubeAnswer answer;
  answer.status.message = std::move(why);
  return answer;
}

// What can be shown of an answer that is no Status: a proxy's page, for example.
std::string shown(std::string_view body) {
  std::string text;
  for (const char c : body.substr(0, kQuotedBytesMax)) text += c < ' ' || c > '~' ? ' ' : c;
  return std::string(trimmed(text, kJsonSpace));
}

// What else may be the cause.
std::string also(const std::string& trouble) {
  return trouble.empty() ? "" : " (" + trouble + ")";
}

// The text of "299 - \"TEXT\"".
std::string warning_text(std::string_view value) {
  const size_t begin = value.find('"');
  const size_t end = value.rfind('"');
  if (begin == std::string_view::npos || end == begin) return std::string(value);
  std::string text;
  for (size_t at = begin + 1; at < end; ++at) {
    if (value[at] == '\\' && at + 1 < end) ++at;
    text += value[at];
  }
  return text;
}

}  // namespace

class KubeClient::State {
 public:
  State(EventLoop& loop, Resolver& resolver, KubeConfig config, KubeClientLimits limits)
      : loop_(loop),
        config_(std::move(config)),
        limits_(limits),
        host_(to_string(config_.server)),
        credentials_(loop, config_, limits_),
        server_(loop, resolver, config_, limits_) {}

  Result<void> check() {
    const Result<void> who = credentials_.check();
    return who ? server_.check() : who;
  }
  const KubeConfig& config() const { return config_; }
  std::unique_ptr<KubeCall> start(KubeRequest request, std::function<void(KubeAnswer)> done);
  std::unique_ptr<KubeCall> watch(std::string target, KubeWatchObserver& observer);

 private:
  class Call;

  void admit(Call& call);
  void leave(Call& call);
  std::string head_of(const Call& call, const std::string& authorization) const;
  void fill_status(KubeAnswer& answer);

  EventLoop& loop_;
  const KubeConfig config_;
  const KubeClientLimits limits_;
  const std::string host_;
  KubeCredentials credentials_;
  KubeServer server_;
  KubeReader reader_;
  size_t running_ = 0;  // plain requests
  size_t watches_ = 0;
  std::deque<Call*> waiting_;  // plain requests
};

// One request, through its second try after a 401.
class KubeClient::State::Call final : public KubeCall, private HttpCallObserver {
 public:
  Call(State& state, KubeRequest request, std::function<void(KubeAnswer)> done,
       KubeWatchObserver* observer)
      : state_(state), request_(std::move(request)), done_(std::move(done)), observer_(observer) {
    if (!is_watch()) {
      deadline_ = state_.loop_.after(state_.limits_.answer_timeout, [this] {
        deadline_ = kNoTimer;
        fail("no whole answer within " + seconds_text(state_.limits_.answer_timeout));
      });
    }
    state_.admit(*this);
  }
  ~Call() override { close(); }

  bool is_watch() const { return observer_ != nullptr; }
  const KubeRequest& request() const { return request_; }
  // Nothing is told before start() has returned.
  void begin_later() {
    state_.loop_.post(lifeline_.guard([this] { begin(); }));
  }
  void fail_later(std::string why) {
    state_.loop_.post(lifeline_.guard([this, why = std::move(why)] { fail(why); }));
  }

 private:
  void begin() {
    if (ended_) return;
    state_.credentials_.get(lifeline_.guard([this](const Result<std::string>& authorization) {
      if (ended_) return;
      if (!authorization) return fail(authorization.error().message);
      authorization_ = *authorization;
      find_link();
    }));
  }
  void find_link() {
    state_.server_.get(state_.credentials_.exec_answer(),
                       lifeline_.guard([this](const Result<KubeServer::Link>& link) {
                         if (ended_) return;
                         if (!link) return fail(link.error().message);
                         send(*link);
                       }));
  }
  void send(const KubeServer::Link& link) {
    if (link_ != nullptr) state_.server_.give_back(std::exchange(link_, nullptr));
    link_ = link;
    head_ = state_.head_of(*this, authorization_);
    answer_ = {};
    line_.clear();
    http_ = &link->http->start(head_, request_.body, *this);
  }

  void on_head(const HttpHead& head) override {
    answer_.http_status = head.status();
    for (size_t i = 0; i < head.field_count(); ++i) {
      const HttpHead::Field field = head.field(i);
      if (equal_ignoring_case(field.name, "warning")) {
        answer_.warning += (answer_.warning.empty() ? "" : "; ") + warning_text(field.value);
      } else if (equal_ignoring_case(field.name, "retry-after")) {
        int seconds = 0;
        const char* end = field.value.data() + field.value.size();
        const auto read = std::from_chars(field.value.data(), end, seconds);
        if (read.ec == std::errc() && read.ptr == end) retry_after_seconds_ = std::max(seconds, 0);
      }
    }
  }
  void on_body(std::string_view bytes) override {
    if (is_watch() && answer_.ok()) return split(bytes);
    const size_t most = is_watch() ? kErrorBytesMax : state_.limits_.answer_bytes_max;
    if (bytes.size() > most - answer_.body.size()) {
      return give_up("the answer is larger than " + std::to_string(most) + " bytes");
    }
    answer_.body += bytes;
  }
  // Each line as it is complete; what is whole in `bytes` is not copied.
  void split(std::string_view bytes) {
    const auto alive = lifeline_.token();
    for (size_t feed; (feed = bytes.find('\n')) != std::string_view::npos;) {
      std::string_view line = bytes.substr(0, feed);
      bytes.remove_prefix(feed + 1);
      if (!take(line)) return;
      if (!line_.empty()) line = line_;
      if (!line.empty()) observer_->on_line(line);
      if (!*alive) return;
      line_.clear();
      if (line_.capacity() > kKeptLineBytesMax) line_.shrink_to_fit();
    }
    if (take(bytes) && line_.empty()) line_ = bytes;
  }
  // Adds `part` to what is there of a line. False: too long.
  bool take(std::string_view part) {
    if (part.size() > state_.limits_.answer_bytes_max - line_.size()) {
      give_up("an event is larger than " + std::to_string(state_.limits_.answer_bytes_max) +
              " bytes");
      return false;
    }
    if (!line_.empty()) line_ += part;
    return true;
  }
  void on_end() override {
    http_ = nullptr;
    if (is_watch() && answer_.ok() && !line_.empty()) {
      return fail("the watch ended in the middle of an event");
    }
    if (answer_.http_status == kHttpUnauthorized && !retried_ &&
        state_.credentials_.renew(authorization_)) {
      retried_ = true;
      return begin();
    }
    if (!answer_.ok()) {
      state_.fill_status(answer_);
      if (answer_.status.retry_after_seconds == 0) {
        answer_.status.retry_after_seconds = retry_after_seconds_;
      }
      if (answer_.http_status == kHttpUnauthorized) {
        answer_.status.message += also(state_.credentials_.trouble());
      }
    }
    end(std::move(answer_));
  }
  void on_failure(const HttpFailure& failure) override {
    http_ = nullptr;
    if (failure.kind != HttpFailure::Kind::kConnect) return fail(failure.message);
    state_.server_.on_connect_failure(link_);
    fail(failure.message + also(state_.server_.trouble()));
  }

  void give_up(const std::string& why) {
    std::exchange(http_, nullptr)->cancel();
    fail(why);
  }
  void fail(const std::string& why) { end(no_answer(server_url(state_.config_) + ": " + why)); }
  // May destroy this.
  void end(KubeAnswer answer) {
    close();
    const std::function<void(KubeAnswer)> done = std::exchange(done_, nullptr);
    KubeWatchObserver* observer = observer_;
    if (done != nullptr) return done(std::move(answer));
    if (observer != nullptr) observer->on_end(answer);
  }
  void close() {
    if (std::exchange(ended_, true)) return;
    if (http_ != nullptr) std::exchange(http_, nullptr)->cancel();
    state_.loop_.cancel(std::exchange(deadline_, kNoTimer));
    if (link_ != nullptr) state_.server_.give_back(std::exchange(link_, nullptr));
    state_.leave(*this);
  }

  State& state_;
  const KubeRequest request_;
  std::function<void(KubeAnswer)> done_;
  KubeWatchObserver* const observer_;  // null: a plain request
  TimerId deadline_ = kNoTimer;
  std::string authorization_;
  KubeServer::Link link_;
  HttpCall* http_ = nullptr;
  std::string head_;
  KubeAnswer answer_;
  int retry_after_seconds_ = 0;
  std::string line_;  // of a watch: the begin of an event whose end has not come
  bool retried_ = false;
  bool ended_ = false;
  Lifeline lifeline_;
};

std::unique_ptr<KubeCall> KubeClient::State::start(KubeRequest request,
                                                   std::function<void(KubeAnswer)> done) {
  return std::make_unique<Call>(*this, std::move(request), std::move(done), nullptr);
}

std::unique_ptr<KubeCall> KubeClient::State::watch(std::string target,
                                                   KubeWatchObserver& observer) {
  return std::make_unique<Call>(*this, KubeRequest{"GET", std::move(target)}, nullptr, &observer);
}

void KubeClient::State::admit(Call& call) {
  if (call.is_watch()) {
    if (++watches_ <= limits_.watches_max) return call.begin_later();
    return call.fail_later("more than " + std::to_string(limits_.watches_max) + " watches");
  }
  if (running_ < limits_.requests_max) {
    ++running_;
    return call.begin_later();
  }
  waiting_.push_back(&call);
  if (waiting_.size() > limits_.waiting_max) {
    call.fail_later("more than " + std::to_string(limits_.waiting_max) + " requests wait");
  }
}

void KubeClient::State::leave(Call& call) {
  if (call.is_watch()) {
    --watches_;
    return;
  }
  const auto place = std::find(waiting_.begin(), waiting_.end(), &call);
  if (place != waiting_.end()) {
    waiting_.erase(place);
    return;
  }
  --running_;
  if (waiting_.empty()) return;
  Call* next = waiting_.front();
  waiting_.pop_front();
  ++running_;
  next->begin_later();
}

std::string KubeClient::State::head_of(const Call& call, const std::string& authorization) const {
  const KubeRequest& request = call.request();
  std::string head(request.method);
  head.append(" ").append(config_.path_prefix).append(request.target);
  head.append(" HTTP/1.1\r\nHost: ").append(host_);
  head.append("\r\nUser-Agent: kvasir/" KVASIR_VERSION " (linux/").append(kArchitecture);
  head.append(")\r\nAccept: application/json\r\n");
  if (!authorization.empty()) head.append("Authorization: ").append(authorization).append("\r\n");
  if (!request.body.empty()) {
    head.append("Content-Type: ").append(request.content_type).append("\r\nContent-Length: ");
    head.append(std::to_string(request.body.size())).append("\r\n");
  }
  return head.append("\r\n");
}

void KubeClient::State::fill_status(KubeAnswer& answer) {
  Result<KubeStatus> status = reader_.read_status(answer.body);
  if (status) {
    answer.status = std::move(*status);
  } else {
    answer.status.message = "HTTP " + std::to_string(answer.http_status) + " " +
                            std::string(status_text(answer.http_status)) + ": " +
                            shown(answer.body);
  }
  if (answer.status.code == 0) answer.status.code = answer.http_status;
}

KubeClient::KubeClient(std::unique_ptr<State> state) : state_(std::move(state)) {}

KubeClient::~KubeClient() = default;

Result<std::unique_ptr<KubeClient>> KubeClient::create(EventLoop& loop, Resolver& resolver,
                                                       KubeConfig config, KubeClientLimits limits) {
  auto state = std::make_unique<State>(loop, resolver, std::move(config), limits);
  const Result<void> usable = state->check();
  if (!usable) return usable.error();
  return std::unique_ptr<KubeClient>(new KubeClient(std::move(state)));
}

std::unique_ptr<KubeCall> KubeClient::start(KubeRequest request,
                                            std::function<void(KubeAnswer)> done) {
  return state_->start(std::move(request), std::move(done));
}

std::unique_ptr<KubeCall> KubeClient::watch(std::string target, KubeWatchObserver& observer) {
  return state_->watch(std::move(target), observer);
}

const KubeConfig& KubeClient::config() const {
  return state_->config();
}

}  // namespace kvasir
