#include "serving/remote_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fleet/fleet.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// A manager that answers what it is told, or not at all.
class FakeManager final : public HttpHandler {
 public:
  explicit FakeManager(EventLoop& loop)
      : server_(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this) {}

  void on_request(HttpExchange& exchange) override {
    path_ = exchange.head().path();
    body_ = exchange.body();
    if (answer_.empty()) return exchange.set_observer(&silent_);
    exchange.respond(status_, "", answer_);
  }
  Refusal on_refused(int, std::string_view) override { return {}; }

  struct Silent final : HttpExchange::Observer {
    void on_client_gone() override {}
  };

  Silent silent_;
  std::string answer_;
  int status_ = 200;
  std::string path_;
  std::string body_;
  HttpServer server_;
};

class RemoteScoresTest : public ::testing::Test {
 protected:
  RemoteScoresTest()
      : loop_(std::move(EventLoop::create().value())), manager_(*loop_), fetcher_(*loop_) {
    services_ = {service(manager_.server_.port())};
    peek_.model = "m";
    peek_.kind = PromptKind::kText;
    peek_.prompt = "words";
  }

  static RemoteService service(uint16_t port) {
    const std::string host = "127.0.0.1:" + std::to_string(port);
    return {{"manager", "http://" + host, std::chrono::seconds(20)},
            host,
            resolve("127.0.0.1", port).value()};
  }
  // The rates of both endpoints; empty when there are none.
  std::vector<double> fetched() {
    std::vector<double> rates;
    fetch_ = fetcher_.start(services_, peek_, fleet_.snapshot(), [&](const FetchedScores& scores) {
      for (const RemoteScores& each : scores.view()) {
        EXPECT_EQ(each.plugin, "manager");
        rates.assign(each.by_endpoint.begin(), each.by_endpoint.end());
      }
      fetch_.reset();
      loop_->stop();
    });
    loop_->run();
    return rates;
  }

  std::unique_ptr<EventLoop> loop_;
  Fleet fleet_{{{"a", "127.0.0.1", 1}, {"b", "127.0.0.1", 2}}};
  FakeManager manager_;
  RemoteScoreFetcher fetcher_;
  std::vector<RemoteService> services_;
  RequestPeek peek_;
  std::unique_ptr<RemoteScoreFetcher::Fetch> fetch_;
};

TEST_F(RemoteScoresTest, EndpointsThatAreNotNamedHaveNoScore) {
  manager_.answer_ = R"({"scores":{"b":{"cache_hit_rate":0.75},"elsewhere":{"cache_hit_rate":1}}})";
  const std::vector<double> rates = fetched();
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_TRUE(std::isnan(rates[0]));
  EXPECT_DOUBLE_EQ(rates[1], 0.75);
  EXPECT_EQ(manager_.path_, "/api/v1/score");
  EXPECT_NE(manager_.body_.find(R"("candidate_pods":["a","b"],"prompt":"words")"),
            std::string::npos);
}

// The slots of a fleet are more than its endpoints.
TEST_F(RemoteScoresTest, OnlyEndpointsThatAreThereAreAskedAbout) {
  Fleet roomy(1000);
  roomy.add({"a", "127.0.0.1", 1});
  const std::optional<EndpointId> gone = roomy.add({"gone", "127.0.0.1", 3});
  roomy.add({"b", "127.0.0.1", 2});
  roomy.remove(*gone);
  manager_.answer_ = R"({"scores":{"":{"cache_hit_rate":1},"gone":{"cache_hit_rate":1},"b":0.5}})";
  std::vector<double> rates;
  fetch_ = fetcher_.start(services_, peek_, roomy.snapshot(), [&](const FetchedScores& scores) {
    rates.assign(scores.view()[0].by_endpoint.begin(), scores.view()[0].by_endpoint.end());
    loop_->stop();
  });
  loop_->run();
  EXPECT_NE(manager_.body_.find(R"("candidate_pods":["a","b"],)"), std::string::npos)
      << manager_.body_;
  ASSERT_EQ(rates.size(), 1000u);
  EXPECT_EQ(std::count_if(rates.begin(), rates.end(), [](double rate) { return rate == rate; }), 1);
}

// After a reload, or when its name has another address.
TEST_F(RemoteScoresTest, AServiceThatMovedIsAskedAtItsNewAddress) {
  manager_.answer_ = R"({"a":0.25})";
  EXPECT_FALSE(fetched().empty());
  FakeManager moved(*loop_);
  moved.answer_ = R"({"a":0.75})";
  services_[0].address = resolve("127.0.0.1", moved.server_.port()).value();
  const std::vector<double> rates = fetched();
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_DOUBLE_EQ(rates[0], 0.75);
}

TEST_F(RemoteScoresTest, AnErrorOrNonsenseIsNoScore) {
  manager_.answer_ = "no JSON";
  EXPECT_TRUE(fetched().empty());
  manager_.answer_ = R"({"a":1})";
  manager_.status_ = 500;
  EXPECT_TRUE(fetched().empty());
}

TEST_F(RemoteScoresTest, AManagerThatIsTooSlowIsNotWaitedFor) {
  services_[0].source.timeout = std::chrono::milliseconds(1);
  EXPECT_TRUE(fetched().empty());
}

TEST_F(RemoteScoresTest, AManagerThatIsAwayIsNoScore) {
  services_ = {service(1)};
  EXPECT_TRUE(fetched().empty());
}

TEST_F(RemoteScoresTest, ARequestThatIsGivenUpIsNotTold) {
  manager_.answer_ = "{}";
  fetch_ = fetcher_.start(services_, peek_, fleet_.snapshot(),
                          [](const FetchedScores&) { FAIL() << "nobody listens any more"; });
  fetch_.reset();
  loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
  loop_->run();
}

TEST(RemoteSources, AnAddressThatIsNoneIsNamed) {
  const auto good = check_sources({{"manager", "http://", Duration(1)}});
  ASSERT_FALSE(good);
  EXPECT_NE(good.error().message.find("plugin 'manager': "), std::string::npos);
  EXPECT_TRUE(check_sources({{"manager", "http://no.such.host.invalid:80", Duration(1)}}));
}

}  // namespace
}  // namespace kvasir
