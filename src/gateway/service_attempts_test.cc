// Attempts at the members of a Service, on virtual time.
#include "gateway/service_attempts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"
#include "gateway/gateway_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;
using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty;

// A client that writes down what it gets.
class RecordingClient final : public HttpExchange, private RawRelay {
 public:
  RecordingClient() { head_.set_request_line("POST", "/x", 1); }

  const HttpHead& head() const override { return head_; }
  void set_target(std::string_view target, std::string_view) override { head_.set_target(target); }
  HttpHead& editable_head() override { return head_; }
  std::string_view body() const override { return "body"; }
  void release_body() override {}
  void set_observer(Observer* given) override { observer = given; }
  void respond(int status, std::string_view, std::string_view body) override {
    says += std::to_string(status) + " " + std::string(body) + ".";
  }
  void start(int status, std::string_view) override { says += std::to_string(status) + " "; }
  void write(std::string_view piece) override { says += piece; }
  void finish(std::string_view) override { says += "."; }
  RawRelay* raw() override { return this; }
  void abort() override { says += "cut"; }
  size_t unsent_bytes() const override { return 0; }
  bool client_keeps_alive() const override { return true; }
  void start_raw(std::string_view head, bool) override {
    says += std::string(head.substr(9, 3)) + " ";
  }
  size_t write_raw(std::string_view bytes) override {
    says += bytes;
    return 0;
  }
  void finish_raw() override { says += "."; }

  HttpHead head_;
  Observer* observer = nullptr;
  std::string says;  // "200 body."
};

// Whoever carries an attempt.
struct Carrier final : HttpExchange::Observer {
  void on_client_gone() override { ++gone; }
  void on_time_over() override { ++late; }
  int gone = 0, late = 0;
};

class RetryProbe final : public GatewayProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
  void on_retry(const Endpoint&, RetryReason, std::string_view) override {}
  void on_not_relayed(int, std::string_view) override {}
  void on_route_retry(const RouteRule&, const RouteTarget&, RouteRetryReason reason) override {
    reasons.push_back(reason);
  }
  void on_route_answer(const RouteAnswerReport& report) override {
    told.push_back(report.answer.status);
  }
  std::vector<RouteRetryReason> reasons;
  std::vector<int> told;
};

class ServiceAttemptsTest : public ::testing::Test {
 protected:
  // What is sent, and when.
  struct Sent {
    uint16_t port = 0;
    Duration at{};
    ServiceAttempts* exchange = nullptr;
    std::shared_ptr<AttemptOutcome> outcome;
  };

  ServiceAttemptsTest()
      : host_{executor_,
              random_,
              probe_,
              budget_,
              [this](ServiceAttempts& attempts, const HostPort& member,
                     std::shared_ptr<AttemptOutcome> outcome) {
                attempts.set_observer(&carrier_);
                sent_.push_back({member.port, executor_.now() - begun_, &attempts, outcome});
              },
              [this](ServiceAttempts&) { attempts_.reset(); }} {}

  void begin(std::vector<int> codes, std::optional<int32_t> attempts, size_t members = 2,
             std::optional<Duration> backoff = milliseconds(100),
             std::optional<Duration> timeout = std::nullopt) {
    auto rule = std::make_shared<RouteRule>();
    rule->retry = HTTPRoute::Retry{std::move(codes), attempts, backoff};
    rule->backend_timeout = timeout;
    begin_by(std::move(rule), members);
  }
  void begin_by(std::shared_ptr<const RouteRule> rule, size_t members = 2) {
    std::vector<HostPort> all;
    for (size_t i = 0; i < members; ++i) all.push_back({"h", static_cast<uint16_t>(i + 1)});
    client_ = std::make_unique<RecordingClient>();
    sent_.clear();
    begun_ = executor_.now();
    attempts_ = std::make_unique<ServiceAttempts>(host_, *client_, std::move(rule), RouteTarget{},
                                                  std::move(all), "id");
    attempts_->begin();
  }
  void answer(int status, const std::string& fields = "") {
    sent_.back().exchange->respond(status, fields, "of " + std::to_string(sent_.back().port));
  }
  void fail_connection() {
    sent_.back().outcome->connection_failure = "refused";
    answer(503);
  }
  void wait(Duration time) { executor_.run_until(executor_.now() + time); }
  std::vector<uint16_t> ports() const {
    std::vector<uint16_t> ports;
    for (const Sent& one : sent_) ports.push_back(one.port);
    return ports;
  }

  VirtualExecutor executor_;
  Random random_{1};
  RetryProbe probe_;
  RetryBudget budget_;
  Carrier carrier_;
  const AttemptsHost host_;
  TimePoint begun_{};
  std::unique_ptr<RecordingClient> client_;
  std::unique_ptr<ServiceAttempts> attempts_;
  std::vector<Sent> sent_;
};

TEST_F(ServiceAttemptsTest, AnAnswerWhoseStatusIsListedIsTriedAtTheNextMember) {
  begin({500, 503}, 3, 3);
  answer(500);
  wait(seconds(1));
  answer(503);
  wait(seconds(1));
  answer(200);
  EXPECT_THAT(ports(), ElementsAre(1, 2, 3));
  EXPECT_EQ(client_->says, "200 of 3.");
  EXPECT_EQ(attempts_, nullptr);
  EXPECT_EQ(budget_.retries(), 0u);
  EXPECT_EQ(budget_.requests(), 0u);
  EXPECT_THAT(probe_.reasons, ElementsAre(RouteRetryReason::kStatus, RouteRetryReason::kStatus));
}

TEST_F(ServiceAttemptsTest, OthersArePassedOnAsTheyAre) {
  for (const int status : {200, 404, 429, 502}) {
    begin({500, 503}, 3);
    answer(status);
    EXPECT_EQ(client_->says, std::to_string(status) + " of 1.");
  }
}

TEST_F(ServiceAttemptsTest, TheLastAnswerIsTheClients) {
  begin({500}, 2);
  for (int i = 0; i < 3; ++i) {
    answer(500);
    wait(seconds(2));
  }
  EXPECT_THAT(ports(), ElementsAre(1, 2, 1)) << "members are asked again when there are no others";
  EXPECT_EQ(client_->says, "500 of 1.");
}

TEST_F(ServiceAttemptsTest, PausesGrowAndAreNeverShorterThanTheRules) {
  begin({500}, 8, 1);
  for (int i = 0; i < 9; ++i) {
    answer(500);
    wait(seconds(3));
  }
  ASSERT_EQ(sent_.size(), 9u);
  for (size_t i = 1; i < sent_.size(); ++i) {
    const Duration pause = sent_[i].at - seconds(3) * (i - 1);
    const int growth = std::min(1 << std::min<size_t>(i - 1, 4), 10);
    EXPECT_GE(pause, milliseconds(100) * growth) << i;
    EXPECT_LT(pause, milliseconds(150) * growth) << i;
  }
}

TEST_F(ServiceAttemptsTest, RulesWithoutNumbersAreTriedOnceMoreAfterAMoment) {
  begin({500}, std::nullopt, 2, std::nullopt);
  answer(500);
  wait(milliseconds(24));
  EXPECT_EQ(sent_.size(), 1u);
  wait(milliseconds(14));
  EXPECT_EQ(sent_.size(), 2u);
  answer(500);
  EXPECT_EQ(client_->says, "500 of 2.");
}

TEST_F(ServiceAttemptsTest, ConnectionsThatFailAreTriedAgainWhateverTheCodes) {
  begin({}, 2);
  fail_connection();
  wait(seconds(1));
  fail_connection();
  wait(seconds(1));
  fail_connection();
  EXPECT_THAT(ports(), ElementsAre(1, 2, 1));
  EXPECT_EQ(client_->says, "503 of 1.");
  EXPECT_EQ(probe_.reasons.back(), RouteRetryReason::kConnection);
}

TEST_F(ServiceAttemptsTest, NothingIsTriedAgainOnceTheClientHasSomething) {
  begin({500}, 3);
  sent_.back().exchange->start(200, "");
  sent_.back().exchange->write("half");
  sent_.back().outcome->connection_failure = "broken";
  sent_.back().exchange->abort();
  wait(seconds(5));
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_EQ(client_->says, "200 halfcut");
}

TEST_F(ServiceAttemptsTest, OfAnAnswerThatIsPassedOverNothingReachesTheClient) {
  begin({503}, 1);
  RawRelay* const raw = sent_.back().exchange->raw();
  raw->start_raw("HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\n", true);
  EXPECT_TRUE(sent_.back().outcome->is_passed_over);
  EXPECT_EQ(raw->write_raw("half"), 0u);
  wait(seconds(1));
  EXPECT_EQ(carrier_.gone, 1) << "its carrier is told that nobody reads it";
  ASSERT_EQ(sent_.size(), 2u);
  sent_.back().exchange->raw()->start_raw("HTTP/1.1 200 OK\r\n\r\n", true);
  sent_.back().exchange->raw()->write_raw("whole");
  sent_.back().exchange->raw()->finish_raw();
  EXPECT_EQ(client_->says, "200 whole.");
  EXPECT_EQ(carrier_.gone, 1);
}

TEST_F(ServiceAttemptsTest, RetryAfterIsWaitedForWhenTheSameMemberIsAskedAgain) {
  begin({429}, 1, 1);
  answer(429, "retry-after: 1\r\n");
  wait(milliseconds(999));
  EXPECT_EQ(sent_.size(), 1u);
  wait(milliseconds(2));
  EXPECT_EQ(sent_.size(), 2u);
  begin({429}, 1, 2);
  answer(429, "Retry-After: 1\r\n");
  wait(milliseconds(200));
  EXPECT_EQ(sent_.size(), 2u) << "another member did not say it";
  begin({429}, 1, 1);
  answer(429, "Retry-After: 3\r\n");
  EXPECT_EQ(client_->says, "429 of 1.") << "the client can wait for that itself";
  begin({503}, 1, 1);
  answer(503, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n");
  wait(milliseconds(200));
  EXPECT_EQ(sent_.size(), 2u);
}

TEST_F(ServiceAttemptsTest, AnAttemptThatTakesTooLongIsGivenUpAndTriedAgain) {
  begin({}, 1, 2, milliseconds(50), milliseconds(200));
  wait(milliseconds(200));
  EXPECT_EQ(carrier_.gone, 1);
  wait(milliseconds(100));
  EXPECT_THAT(ports(), ElementsAre(1, 2));
  wait(milliseconds(200));
  EXPECT_EQ(carrier_.late, 1);
  EXPECT_THAT(client_->says, HasSubstr("504 "));
  EXPECT_THAT(client_->says, HasSubstr("backendRequest"));
  EXPECT_THAT(probe_.reasons, ElementsAre(RouteRetryReason::kTimeout));
}

TEST_F(ServiceAttemptsTest, AnAnswerThatTakesTooLongIsCut) {
  begin({}, 3, 2, milliseconds(50), milliseconds(200));
  sent_.back().exchange->start(200, "");
  wait(milliseconds(200));
  EXPECT_EQ(client_->says, "200 cut");
  EXPECT_EQ(carrier_.late, 1);
  EXPECT_EQ(sent_.size(), 1u);
}

TEST_F(ServiceAttemptsTest, ATimeoutAloneTriesNothingAgain) {
  auto rule = std::make_shared<RouteRule>();
  rule->backend_timeout = milliseconds(100);
  begin_by(rule);
  fail_connection();
  EXPECT_EQ(client_->says, "503 of 1.");
  begin_by(rule);
  wait(milliseconds(100));
  EXPECT_THAT(client_->says, HasSubstr("504 "));
}

TEST_F(ServiceAttemptsTest, AClientThatLeavesEndsThemAll) {
  begin({500}, 3);
  client_->observer->on_client_gone();
  EXPECT_EQ(carrier_.gone, 1);
  EXPECT_EQ(attempts_, nullptr);
  begin({500}, 3);
  answer(500);
  client_->observer->on_client_gone();
  EXPECT_EQ(carrier_.gone, 1) << "nobody carries it between two attempts";
  EXPECT_EQ(attempts_, nullptr);
  wait(seconds(5));
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_THAT(probe_.told, ElementsAre(499));
  begin({500}, 3);
  answer(500);
  client_->observer->on_time_over();
  EXPECT_EQ(attempts_, nullptr);
  EXPECT_THAT(probe_.told, ElementsAre(499, 504));
  EXPECT_EQ(budget_.retries(), 0u);
}

TEST_F(ServiceAttemptsTest, BeyondTheBudgetNothingIsTriedAgain) {
  for (size_t i = 0; i < RetryBudget::kLeast; ++i) EXPECT_TRUE(budget_.take());
  begin({500}, 3);
  answer(500);
  EXPECT_EQ(client_->says, "500 of 1.");
  EXPECT_THAT(probe_.reasons, ElementsAre(RouteRetryReason::kRefused));
  for (int i = 0; i < 25; ++i) budget_.begin();
  begin({500}, 3);
  answer(500);
  EXPECT_EQ(client_->says, "") << "a fifth of 26 is five";
  EXPECT_EQ(budget_.retries(), 4u);
}

TEST_F(ServiceAttemptsTest, MoreAttemptsThanALimitAreNotMade) {
  begin({500}, 1000, 1, milliseconds(1));
  for (int i = 0; i < 100 && attempts_ != nullptr; ++i) {
    answer(500);
    wait(seconds(1));
  }
  EXPECT_EQ(sent_.size(), ServiceAttempts::kRetriesMost + 1);
}

}  // namespace
}  // namespace kvasir
