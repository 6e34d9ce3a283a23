#include "serving/remote_scores.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "fleet/fleet.h"
#include "net/io/event_loop.h"
#include "wire/kv_scores.h"

namespace kvasir {
namespace {

// An answer for 1,000 endpoints is some 100 kB; of a longer one nothing is used.
constexpr size_t kAnswerBytesMax = 1024 * 1024;

std::vector<double> by_endpoint(const Snapshot& fleet, const std::vector<PodScore>& scores) {
  std::vector<double> result(fleet.endpoints.size(), std::numeric_limits<double>::quiet_NaN());
  std::unordered_map<std::string_view, size_t> slots;
  for (size_t i = 0; i < result.size(); ++i) {
    const EndpointState& state = fleet.endpoints[i];
    if (state.present) slots.emplace(state.endpoint->name, i);
  }
  for (const PodScore& score : scores) {
    const auto slot = slots.find(score.pod);
    if (slot != slots.end()) result[slot->second] = score.hit_rate;
  }
  return result;
}

// All calls for one request.
class Fetching final : public RemoteScoreFetcher::Fetch {
 public:
  Fetching(EventLoop& loop, std::shared_ptr<const Snapshot> fleet,
           std::function<void(FetchedScores)> done)
      : loop_(loop), fleet_(std::move(fleet)), done_(std::move(done)) {}

  void add(HttpClient& client, const RemoteService& service, const std::string& body) {
    calls_.push_back(std::make_unique<Call>(*this, service, body.size()));
    ++open_;
    calls_.back()->start(loop_, client, body);
  }

 private:
  class Call final : public HttpCallObserver {
   public:
    Call(Fetching& fetch, const RemoteService& service, size_t body_bytes)
        : fetch_(fetch),
          plugin_(service.source.plugin),
          timeout_(std::min(service.source.timeout, HttpClients::kCallLongest)),
          head_("POST /api/v1/score HTTP/1.1\r\nHost: " + service.host +
                "\r\nContent-Type: application/json\r\nContent-Length: " +
                std::to_string(body_bytes) + "\r\n\r\n") {}
    ~Call() override { stop(); }

    void start(EventLoop& loop, HttpClient& client, const std::string& body) {
      loop_ = &loop;
      body_ = body;
      call_ = &client.start(head_, body_, *this);
      timer_ = loop.after(timeout_, [this] {
        timer_ = kNoTimer;
        over();
      });
    }

    void on_head(const HttpHead& head) override { good_ = head.status() == 200; }
    void on_body(std::string_view bytes) override {
      good_ = good_ && answer_.size() + bytes.size() <= kAnswerBytesMax;
      if (good_) answer_.append(bytes);
    }
    void on_end() override {
      call_ = nullptr;
      if (good_) {
        if (const auto scores = read_score_answer(answer_)) {
          fetch_.scores_.add(plugin_, by_endpoint(*fetch_.fleet_, *scores));
        }
      }
      over();
    }
    void on_failure(const HttpFailure&) override {
      call_ = nullptr;
      over();
    }

   private:
    void stop() {
      if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
      if (loop_ != nullptr) loop_->cancel(std::exchange(timer_, kNoTimer));
    }
    void over() {
      stop();
      fetch_.one_is_over();
    }

    Fetching& fetch_;
    const std::string plugin_;
    const Duration timeout_;
    const std::string head_;
    std::string body_;
    EventLoop* loop_ = nullptr;
    HttpCall* call_ = nullptr;
    TimerId timer_ = kNoTimer;
    std::string answer_;
    bool good_ = false;
  };

  void one_is_over() {
    if (--open_ > 0) return;
    const auto done = std::move(done_);  // `this` may die in it
    done(std::move(scores_));
  }

  EventLoop& loop_;
  const std::shared_ptr<const Snapshot> fleet_;
  std::function<void(FetchedScores)> done_;
  FetchedScores scores_;
  std::vector<std::unique_ptr<Call>> calls_;
  size_t open_ = 0;
};

}  // namespace

Result<void> check_sources(const std::vector<RemoteSource>& sources) {
  for (const RemoteSource& source : sources) {
    const Result<HostPort> origin = parse_http_origin(source.url);
    if (!origin) return Error{"plugin '" + source.plugin + "': " + origin.error().message};
  }
  return {};
}

void FetchedScores::add(const std::string& plugin, std::vector<double> by_endpoint) {
  owned_.push_back(std::make_unique<std::pair<std::string, std::vector<double>>>(
      plugin, std::move(by_endpoint)));
  views_.push_back({owned_.back()->first, owned_.back()->second});
}

std::unique_ptr<RemoteScoreFetcher::Fetch> RemoteScoreFetcher::start(
    const std::vector<RemoteService>& services, const RequestPeek& peek,
    std::shared_ptr<const Snapshot> fleet, std::function<void(FetchedScores)> done) {
  std::vector<std::string_view> pods;
  for (const EndpointState& state : fleet->endpoints) {
    if (state.present) pods.push_back(state.endpoint->name);
  }
  const std::string body = write_score_request(peek.model, peek.kind, peek.prompt, pods);
  auto fetch = std::make_unique<Fetching>(loop_, fleet, std::move(done));
  for (const RemoteService& service : services)
    fetch->add(clients_.client_for(service.address), service, body);
  return fetch;
}

}  // namespace kvasir
