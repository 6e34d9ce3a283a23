#include "apps/decision_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "apps/epp_fixture.h"

namespace kvasir {
namespace {

using testing::HasSubstr;
using testing::Not;

const WallTime kTime{std::chrono::milliseconds(1763985117042)};

std::string pick_line(LogFormat format, const PickReport& report) {
  std::string line;
  append_pick_line(format, kTime, "epp", report, line);
  return line;
}

std::string refusal_line(LogFormat format, const RefusalReport& report) {
  std::string line;
  append_refusal_line(format, kTime, "epp", report, line);
  return line;
}

TEST(DecisionLine, OfAPickAsText) {
  EXPECT_EQ(pick_line(LogFormat::kText, EppFixture().pick()),
            "2025-11-24T11:51:57.042Z info epp: picked request_id=req-1 model=m target_model=m "
            "fairness_id=tenant-a priority=0 selected_pod=pod-1 selected_endpoint=10.0.0.2:8000 "
            "fallbacks=[10.0.0.1:8000] score=1 picker=max-score-picker "
            "prefill_decision=decode-only cached_tokens=250 prompt_tokens=1000 scraper_age=12.5 "
            "candidates=4 filter_result=[default/decode-filter=2] "
            "scorer_result=[default/queue-scorer{pod-0=0.5,pod-1=0.5},"
            "default/active-request-scorer{pod-0=1,pod-1=0.5}] "
            "final_scores={pod-0=1.5,pod-1=1} "
            "scheduling_duration=0.042 processing_duration=0.15\n");
}

TEST(DecisionLine, OfAPickAsJson) {
  EppFixture fixture;
  fixture.decision.prefill = EndpointId{3};
  EXPECT_EQ(
      pick_line(LogFormat::kJson, fixture.pick()),
      R"({"timestamp":"2025-11-24T11:51:57.042Z","level":"info","component":"epp",)"
      R"("message":"picked","request_id":"req-1","model":"m","target_model":"m",)"
      R"("fairness_id":"tenant-a","priority":0,"selected_pod":"pod-1",)"
      R"("selected_endpoint":"10.0.0.2:8000","fallbacks":["10.0.0.1:8000"],"score":1,)"
      R"("picker":"max-score-picker","prefill_decision":"prefill-decode","prefill_pod":"pod-3",)"
      R"("prefill_endpoint":"10.0.0.4:8000","cached_tokens":250,"prompt_tokens":1000,)"
      R"("scraper_age":12.5,"candidates":4,)"
      R"("filter_result":[{"filter":"decode-filter","profile":"default","left":2}],)"
      R"("scorer_result":[{"scorer":"queue-scorer","profile":"default",)"
      R"("scores":{"pod-0":0.5,"pod-1":0.5}},{"scorer":"active-request-scorer",)"
      R"("profile":"default","scores":{"pod-0":1,"pod-1":0.5}}],)"
      R"("final_scores":{"pod-0":1.5,"pod-1":1},"scheduling_duration":0.042,)"
      R"("processing_duration":0.15})"
      "\n");
}

TEST(DecisionLine, TellsWhatWasPredictedAndWhichAttemptItIs) {
  EppFixture fixture;
  EXPECT_THAT(pick_line(LogFormat::kText, fixture.pick()),
              AllOf(Not(HasSubstr("predicted")), Not(HasSubstr("attempt"))));
  fixture.decision.predicted_wait = std::chrono::milliseconds(120);
  fixture.decision.predicted_prefill = std::chrono::milliseconds(80);
  PickReport report = fixture.pick();
  report.attempt = 2;
  EXPECT_THAT(
      pick_line(LogFormat::kText, report),
      AllOf(HasSubstr(" attempt=2 "), HasSubstr(" predicted_wait=120 predicted_prefill=80 ")));
}

TEST(DecisionLine, IsSilentAboutTheAgeOfMetricsThatWereNeverRead) {
  const EppFixture fixture;
  PickReport report = fixture.pick();
  report.metrics_age.reset();
  EXPECT_THAT(pick_line(LogFormat::kText, report), Not(HasSubstr("scraper")));
}

TEST(DecisionLine, OfARefusal) {
  const EppFixture fixture;
  EXPECT_EQ(refusal_line(LogFormat::kText, fixture.refusal()),
            "2025-11-24T11:51:57.042Z info epp: refused, no endpoint request_id=req-2 model=m "
            "target_model=m fairness_id=tenant-a priority=0 status=429 code=ResourceExhausted "
            "reason=rejected-saturated text=\"no endpoints available for the given request\" "
            "candidates=4 filter_result=[default/decode-filter=2] scheduling_duration=0.007 "
            "processing_duration=0.009\n");
  RefusalReport report = fixture.refusal();
  report.trace = nullptr;
  report.refusal.dropped_reason = "";
  EXPECT_EQ(refusal_line(LogFormat::kJson, report),
            R"({"timestamp":"2025-11-24T11:51:57.042Z","level":"info","component":"epp",)"
            R"("message":"refused, no endpoint","request_id":"req-2","model":"m",)"
            R"("target_model":"m","fairness_id":"tenant-a","priority":0,"status":429,)"
            R"("code":"ResourceExhausted","reason":"",)"
            R"("text":"no endpoints available for the given request",)"
            R"("scheduling_duration":0.007,"processing_duration":0.009})"
            "\n");
}

TEST(DecisionLine, StaysOneLineThatParsesWhateverTheNamesHold) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  for (const std::string& name :
       {every_byte.substr(0, 120), every_byte.substr(120), std::string("a\nb\r\n"),
        std::string("\"} injected={"), std::string("\xed\xa0\x80 lone surrogate"),
        std::string(100'000, '\xf0'), std::string()}) {
    EppFixture fixture;
    fixture.fleet.endpoints[1].endpoint =
        std::make_shared<const Endpoint>(Endpoint{name, name, 8000, {}});
    PickReport report = fixture.pick();
    report.labels = {name, name, name, name, name, 0};
    for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
      const std::string line = pick_line(format, report);
      EXPECT_EQ(line.find('\n'), line.size() - 1);
      EXPECT_LT(line.size(), 10'000u);
      if (format == LogFormat::kText) continue;
      const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
      ASSERT_FALSE(parsed.is_discarded()) << line;
      EXPECT_EQ(parsed["component"], "epp");
    }
  }
}

TEST(DecisionLine, CutsLongTextsBetweenCharacters) {
  const EppFixture fixture;
  PickReport report = fixture.pick();
  std::string model(kLoggedTextMax - 1, 'x');
  model += "\xc3\xa9 and more";
  report.labels.model = model;
  EXPECT_THAT(pick_line(LogFormat::kJson, report),
              HasSubstr("\"model\":\"" + std::string(kLoggedTextMax - 1, 'x') + "...\","));
}

TEST(DecisionLine, NamesTheBestEndpointsAndThePickedOneOfALargeFleet) {
  EppFixture fixture(200);
  fixture.decision.endpoint = EndpointId{90};
  const std::string line = pick_line(LogFormat::kJson, fixture.pick());
  const nlohmann::json parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["final_scores"].size(), kLoggedEndpointsMax);
  EXPECT_EQ(parsed["scorer_result"][1]["scores"].size(), kLoggedEndpointsMax);
  EXPECT_TRUE(parsed["final_scores"].contains("pod-90"));
  EXPECT_TRUE(parsed["final_scores"].contains("pod-14"));
  EXPECT_FALSE(parsed["final_scores"].contains("pod-15"));
}

TEST(DecisionLine, SaysNullForAScoreThatAbstains) {
  EppFixture fixture;
  const std::vector<EndpointId> ids = {EndpointId{1}};
  const std::vector<double> scores = {std::nan("")};
  auto& entry = fixture.trace.add(DecisionTrace::Step::kScore, 0, 1, Duration{});
  fixture.trace.add_scores(entry, ids, scores);
  const nlohmann::json parsed = nlohmann::json::parse(pick_line(LogFormat::kJson, fixture.pick()));
  EXPECT_TRUE(parsed["scorer_result"][2]["scores"]["pod-1"].is_null());
}

TEST(DecisionLine, IsFoundByTheTutorialsGreps) {
  const EppFixture fixture;
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string picked = pick_line(format, fixture.pick());
    for (const char* word :
         {"score", "endpoint", "picked", "active-request", "selected_pod", "filter_result",
          "scorer_result", "prefill_decision", "scheduling_duration"}) {
      EXPECT_THAT(picked, HasSubstr(word));
    }
    EXPECT_THAT(refusal_line(format, fixture.refusal()), HasSubstr("endpoint"));
  }
}

TEST(Decimal, HasFourDigitsAtMostAndNoneInVain) {
  for (const auto& [value, text] :
       std::vector<std::pair<double, const char*>>{{0, "0"},
                                                   {1, "1"},
                                                   {-0.5, "-0.5"},
                                                   {1.0 / 3, "0.3333"},
                                                   {0.00004, "0"},
                                                   {0.00005, "0.0001"},
                                                   {123456.789, "123456.789"},
                                                   {-2.25, "-2.25"},
                                                   {9.99999, "10"},
                                                   {INFINITY, "null"},
                                                   {1e15, "1e+15"},
                                                   {0.05, "0.05"}}) {
    std::string out;
    append_decimal(value, out);
    EXPECT_EQ(out, text);
  }
}

TEST(DecisionLog, WritesALineForEachReport) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const EppFixture fixture;
  {
    DecisionLog log(LogFormat::kText, "epp", std::make_unique<LineWriter>(ends[1], true, "a pipe"));
    log.picked(fixture.pick());
    log.refused(fixture.refusal());
    EXPECT_EQ(log.lines(), 2u);
    EXPECT_EQ(log.dropped(), 0u);
  }
  std::string text(8192, '\0');
  text.resize(static_cast<size_t>(read(ends[0], text.data(), text.size())));
  close(ends[0]);
  EXPECT_THAT(text, HasSubstr("picked request_id=req-1"));
  EXPECT_THAT(text, HasSubstr("refused, no endpoint request_id=req-2"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

}  // namespace
}  // namespace kvasir
