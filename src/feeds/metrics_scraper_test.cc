// The scraper in front of fake engines, all on one loop.
#include "feeds/metrics_scraper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class FakeEngine final : public HttpHandler, private HttpExchange::Observer {
 public:
  explicit FakeEngine(EventLoop& loop)
      : server_(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this) {}
  void on_request(HttpExchange& exchange) override {
    ++requests;
    if (hangs) return exchange.set_observer(this);
    exchange.respond(status, "", page);
  }
  Refusal on_refused(int, std::string_view) override { return {}; }
  void on_client_gone() override {}
  uint16_t port() const { return server_.port(); }
  size_t connections() const { return server_.connections(); }

  std::string page = "vllm:num_requests_waiting 1\n";
  int status = 200;
  bool hangs = false;
  int requests = 0;

 private:
  HttpServer server_;
};

class MetricsScraperTest : public ::testing::Test, public ScrapeProbe {
 protected:
  MetricsScraperTest() : loop_(std::move(EventLoop::create().value())), a_(*loop_), b_(*loop_) {
    fleet_.add(endpoint("a", a_));
    fleet_.add(endpoint("b", b_));
    ScrapeSource source;
    source.interval = milliseconds(2);
    source.engines = {{"vllm", {{*find_engine_metric_specs("vllm")}, {}}}};
    plan_.sources = {source};
  }
  static Endpoint endpoint(const std::string& name, const FakeEngine& engine) {
    return Endpoint{name, "127.0.0.1", engine.port()};
  }
  void start() {
    scraper_ = std::make_unique<MetricsScraper>(*loop_, fleet_, addresses_, *this, clock_, plan_);
  }
  void on_scrape_failed(const Endpoint& endpoint, std::string_view type, bool extract,
                        std::string_view, bool first) override {
    if (first)
      failures_.push_back(endpoint.name + " " + std::string(type) +
                          (extract ? " extract" : " poll"));
  }
  void on_page_problem(const Endpoint& endpoint, PageProblem problem,
                       std::string_view what) override {
    problems_.push_back(endpoint.name +
                        (problem == PageProblem::kMissing ? " misses " : " refuses ") +
                        std::string(what));
  }
  bool happens(const std::function<bool()>& done) {
    bool late = false;
    const TimerId timer = loop_->after(seconds(10), [&] { late = true; });
    std::function<void()> look = [&] {
      if (done() || late) return loop_->stop();
      loop_->after(milliseconds(1), look);
    };
    look();
    loop_->run();
    loop_->cancel(timer);
    return !late;
  }
  EngineMetrics metrics(uint32_t slot) const { return fleet_.snapshot()->endpoints[slot].metrics; }
  bool reads(uint32_t slot, double waiting) {
    return happens([&] { return metrics(slot).waiting == waiting; });
  }

  std::unique_ptr<EventLoop> loop_;
  FakeEngine a_;
  FakeEngine b_;
  Fleet fleet_{3};
  AddressBook addresses_;
  ManualClock clock_;
  ScrapePlan plan_;
  std::vector<std::string> failures_;
  std::vector<std::string> problems_;
  std::unique_ptr<MetricsScraper> scraper_;
};

TEST_F(MetricsScraperTest, RoundAfterRoundIsPublishedFromOneConnection) {
  clock_.advance(seconds(5));
  start();
  EXPECT_TRUE(reads(0, 1) && reads(1, 1));
  EXPECT_EQ(metrics(0).read_at, clock_.now());
  a_.page = "vllm:num_requests_waiting 2\n";
  EXPECT_TRUE(reads(0, 2));
  EXPECT_EQ(a_.connections(), 1u);
  EXPECT_GT(scraper_->counts(0).pages, 2u);
}

TEST_F(MetricsScraperTest, TheCacheSizeIsReadToo) {
  a_.page = "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1\n";
  start();
  EXPECT_TRUE(happens([&] { return fleet_.snapshot()->endpoints[0].kv_capacity_tokens == 1600u; }));
}

TEST_F(MetricsScraperTest, WhatAPageLacksOrMakesUpIsToldOnce) {
  a_.page =
      "vllm:num_requests_waiting 1\nvllm:num_requests_running 1\n"
      "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"200000000000\"} 1\n";
  b_.page += "vllm:num_requests_running 1\nvllm:gpu_cache_usage_perc 0.5\n";
  start();
  EXPECT_TRUE(happens([&] { return scraper_->counts(0).pages >= 10; }));
  EXPECT_THAT(problems_, ::testing::UnorderedElementsAre("a misses vllm:kv_cache_usage_perc",
                                                         "a refuses a KV cache of 3.2e+12 tokens"));
  EXPECT_EQ(metrics(1).kv_usage, 0.5) << "an older name of it";
  EXPECT_EQ(fleet_.snapshot()->endpoints[0].kv_capacity_tokens, std::nullopt);
  const size_t before = problems_.size();
  a_.page += "vllm:kv_cache_usage_perc 0.1\n";
  EXPECT_TRUE(happens([&] { return metrics(0).kv_usage == 0.1; }));
  a_.page = "vllm:num_requests_waiting 1\n";
  EXPECT_TRUE(happens([&] { return problems_.size() > before; }));
  EXPECT_EQ(problems_.back(), "a misses vllm:num_requests_running, vllm:kv_cache_usage_perc");
}

TEST_F(MetricsScraperTest, AnEngineThatReportsNonsenseCountsAsAnAverageOneAndIsToldOnce) {
  const auto page = [](const std::string& waiting, const std::string& running,
                       const std::string& usage) {
    return "vllm:num_requests_waiting " + waiting + "\nvllm:num_requests_running " + running +
           "\nvllm:kv_cache_usage_perc " + usage + "\n";
  };
  a_.page = page("-1000000000", "-5", "-3");
  b_.page = page("4", "2", "0.5");
  start();
  EXPECT_TRUE(happens([&] { return metrics(0).waiting == 4 && metrics(0).running == 2; }));
  EXPECT_EQ(metrics(0).kv_usage, 0.5);
  a_.page = page("-7", "NaN", "-0.1");
  b_.page = page("6", "3", "0.25");
  EXPECT_TRUE(happens([&] { return metrics(0).waiting == 6 && metrics(0).kv_usage == 0.25; }));
  EXPECT_THAT(problems_, ::testing::ElementsAre(
                             "a refuses the value of vllm:num_requests_waiting, the value of "
                             "vllm:num_requests_running, the value of "
                             "vllm:kv_cache_usage_perc"));
  a_.page = page("0", "0", "0");
  EXPECT_TRUE(reads(0, 0)) << "it is believed again";
}

TEST_F(MetricsScraperTest, AFailureKeepsTheOldValuesUntilTheyAreTooOld) {
  start();
  EXPECT_TRUE(reads(0, 1));
  a_.status = 500;
  EXPECT_TRUE(happens([&] { return scraper_->counts(0).poll_errors >= 2; }));
  EXPECT_EQ(metrics(0).waiting, 1) << "old, but there";
  EXPECT_THAT(failures_, ::testing::ElementsAre("a metrics-data-source poll"));
  clock_.advance(kMetricTtl + seconds(1));
  EXPECT_TRUE(happens([&] { return !metrics(0).waiting.has_value(); }));
  EXPECT_TRUE(reads(1, 1)) << "the other one goes on";
}

TEST_F(MetricsScraperTest, APageWithNothingWantedIsAnExtractError) {
  a_.page = "something_else 1\n";
  start();
  EXPECT_TRUE(happens([&] { return scraper_->counts(0).extract_errors >= 1; }));
  EXPECT_THAT(failures_, ::testing::ElementsAre("a metrics-data-source extract"));
}

TEST_F(MetricsScraperTest, AnEndpointThatHangsHoldsNobodyUp) {
  a_.hangs = true;
  start();
  EXPECT_TRUE(reads(1, 1));
  b_.page = "vllm:num_requests_waiting 5\n";
  EXPECT_TRUE(reads(1, 5));
  EXPECT_EQ(a_.requests, 1) << "one at a time";
}

TEST_F(MetricsScraperTest, FollowsTheFleet) {
  start();
  EXPECT_TRUE(reads(0, 1));
  FakeEngine c(*loop_);
  c.page = "vllm:num_requests_waiting 3\n";
  fleet_.replace_all({endpoint("b", b_), endpoint("c", c)});
  EXPECT_TRUE(reads(2, 3));
  const int requests = a_.requests;
  const int others = b_.requests;
  EXPECT_TRUE(happens([&] { return b_.requests > others + 3; }));
  EXPECT_LE(a_.requests, requests + 1) << "nobody asks it any more";
  EXPECT_FALSE(metrics(0).waiting.has_value());
  scraper_.reset();
}

TEST_F(MetricsScraperTest, SeveralSourcesMakeOnePictureAndTheFirstCounts) {
  plan_.sources.push_back(plan_.sources[0]);
  plan_.sources[1].path = "/gpu";
  plan_.sources[1].port = b_.port();
  a_.page = "vllm:num_requests_waiting 1\n";
  b_.page = "vllm:num_requests_waiting 9\nDCGM_FI_DEV_GPU_UTIL 50\n";
  start();
  EXPECT_TRUE(
      happens([&] { return metrics(0).gpu_utilization == 0.5 && metrics(0).waiting == 1; }));
}

}  // namespace
}  // namespace kvasir
