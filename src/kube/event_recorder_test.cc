#include "kube/event_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/virtual_executor_fixture.h"
#include "kube/kube_time.h"
#include "kube/scripted_api_fronts_fixture.h"

namespace kvasir {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

class EventRecorderTest : public ::testing::Test {
 protected:
  EventRecorderTest() {
    wall_.set(TimePoint(seconds(1'769'846'400)));
    about_ = {"inference.networking.k8s.io/v1", "InferencePool", {"prod", "pool"}, "uid-1"};
    options_.instance = "epp-0";
    begin();
  }
  void begin() {
    recorder_ = std::make_unique<EventRecorder>(
        executor_, api_, wall_, options_,
        [this](const std::string& trouble) { troubles_.push_back(trouble); });
  }
  void record(const std::string& note) {
    recorder_->record(about_, {true, "ConfigurationRefused", "Reload", note});
  }
  void pass(Duration time) {
    wall_.advance(time);
    executor_.run_until(executor_.now() + time);
  }
  std::vector<Json> events() { return server_.all("events.k8s.io/v1", "Event"); }

  VirtualExecutor executor_;
  ManualClock wall_;
  ScriptedApiServer server_;
  ScriptedKubeApi api_{executor_, server_};
  ObjectReference about_;
  EventRecorderOptions options_;
  std::unique_ptr<EventRecorder> recorder_;
  std::vector<std::string> troubles_;
};

TEST_F(EventRecorderTest, EventSaysAllThatTheApiWants) {
  record("line 5: no such plugin");
  pass(seconds(1));
  ASSERT_EQ(events().size(), 1u);
  const Json event = events()[0];
  EXPECT_EQ(event["metadata"]["namespace"], "prod");
  EXPECT_THAT(event["metadata"]["name"].get<std::string>(), HasSubstr("pool."));
  EXPECT_EQ(event["regarding"]["apiVersion"], "inference.networking.k8s.io/v1");
  EXPECT_EQ(event["regarding"]["kind"], "InferencePool");
  EXPECT_EQ(event["regarding"]["name"], "pool");
  EXPECT_EQ(event["regarding"]["namespace"], "prod");
  EXPECT_EQ(event["regarding"]["uid"], "uid-1");
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_EQ(event["reason"], "ConfigurationRefused");
  EXPECT_EQ(event["action"], "Reload");
  EXPECT_EQ(event["note"], "line 5: no such plugin");
  EXPECT_EQ(event["eventTime"], "2026-01-31T08:00:00.000000Z");
  EXPECT_EQ(event["reportingController"], "kvasir.dev/epp");
  EXPECT_EQ(event["reportingInstance"], "epp-0");
  EXPECT_FALSE(event.contains("series"));
}

TEST_F(EventRecorderTest, SameAgainIsCountedAtOnceAndThenNowAndThen) {
  record("x");
  pass(seconds(1));
  record("x");
  pass(seconds(1));
  EXPECT_EQ(events()[0]["series"]["count"], 2);
  EXPECT_EQ(events()[0]["series"]["lastObservedTime"], "2026-01-31T08:00:01.000000Z");
  for (int i = 0; i < 50; ++i) record("x");
  pass(seconds(1));
  EXPECT_EQ(events()[0]["series"]["count"], 2);
  pass(minutes(5));
  EXPECT_EQ(events()[0]["series"]["count"], 52);
  EXPECT_EQ(events().size(), 1u);
  EXPECT_EQ(server_.requests.size(), 3u);
}

TEST_F(EventRecorderTest, OtherWordsAreAnotherEvent) {
  record("line 5");
  record("line 7");
  pass(seconds(1));
  EXPECT_EQ(events().size(), 2u);
}

TEST_F(EventRecorderTest, WhatDidNotHappenForLongIsNewWhenItComesBack) {
  record("x");
  pass(minutes(11));
  record("x");
  pass(seconds(1));
  EXPECT_EQ(events().size(), 2u);
}

TEST_F(EventRecorderTest, EventThatTheServerForgotIsWrittenAnew) {
  record("x");
  pass(seconds(1));
  server_.remove("events.k8s.io/v1", "Event", events()[0]["metadata"]["name"], "prod");
  record("x");
  pass(seconds(1));
  ASSERT_EQ(events().size(), 1u);
  EXPECT_EQ(events()[0]["series"]["count"], 2);
  EXPECT_EQ(events()[0]["note"], "x");
  EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(EventRecorderTest, ObjectsWithoutANamespaceHaveTheirEventsInDefault) {
  about_ = {"v1", "Node", {"", "n1"}, ""};
  record("x");
  pass(seconds(1));
  EXPECT_EQ(events()[0]["metadata"]["namespace"], "default");
  EXPECT_FALSE(events()[0]["regarding"].contains("namespace"));
}

TEST_F(EventRecorderTest, LongNotesAreCutBetweenCharacters) {
  std::string note(1023, 'x');
  record(note + "\xc3\xa4 more");
  about_.key.name = std::string(253, 'n');
  record("y");
  pass(seconds(1));
  for (const Json& event : events()) {
    EXPECT_LE(event["metadata"]["name"].get<std::string>().size(), 253u);
    EXPECT_TRUE(event["note"] == "y" || event["note"] == note);
  }
  EXPECT_EQ(events().size(), 2u);
}

TEST_F(EventRecorderTest, RefusedEventIsDroppedAndToldOnce) {
  server_.install("v1", "Event", "events");
  server_.script({.fits = "/apis/events.k8s.io",
                  .code = 403,
                  .reason = "Forbidden",
                  .message = "events is forbidden",
                  .times = 2});
  server_.script({.fits = "/api/v1", .code = 403, .reason = "Forbidden", .times = 2});
  record("a");
  record("b");
  pass(minutes(1));
  EXPECT_THAT(troubles_, ElementsAre("events cannot be written: events is forbidden"));
  EXPECT_EQ(server_.requests.size(), 4u);
  record("c");
  pass(seconds(1));
  EXPECT_EQ(events().size(), 1u);
  server_.script({.code = 422, .reason = "Invalid", .message = "again"});
  record("d");
  pass(seconds(1));
  EXPECT_EQ(troubles_.size(), 2u);
}

TEST_F(EventRecorderTest, EventsOfTheCoreGroupAreWrittenWhenOnlyThoseMayBe) {
  server_.install("v1", "Event", "events");
  server_.script({.fits = "events.k8s.io", .code = 403, .reason = "Forbidden", .times = 1000});
  record("x");
  pass(seconds(1));
  record("x");
  record("y");
  pass(seconds(1));
  const std::vector<Json> written = server_.all("v1", "Event");
  ASSERT_EQ(written.size(), 2u);
  const Json& event = written[0];
  EXPECT_EQ(event["apiVersion"], "v1");
  EXPECT_EQ(event["involvedObject"]["uid"], "uid-1");
  EXPECT_EQ(event["message"], "x");
  EXPECT_EQ(event["reportingComponent"], "kvasir.dev/epp");
  EXPECT_EQ(event["series"]["count"], 2);
  EXPECT_THAT(troubles_, IsEmpty());
  EXPECT_EQ(server_.requests_of("events.k8s.io"), 1u);
}

TEST_F(EventRecorderTest, EventsWaitForAServerThatIsAway) {
  api_.go_away();
  record("a");
  record("a");
  record("b");
  pass(seconds(25));
  EXPECT_EQ(troubles_.size(), 1u);
  api_.come_back();
  pass(seconds(10));
  EXPECT_EQ(events().size(), 2u);
}

TEST_F(EventRecorderTest, ServerThatAsksToWaitIsWaitedFor) {
  server_.script({.code = 429, .reason = "TooManyRequests", .fields = "Retry-After: 60\r\n"});
  record("a");
  pass(seconds(59));
  EXPECT_EQ(server_.requests.size(), 1u);
  pass(seconds(2));
  EXPECT_EQ(events().size(), 1u);
}

TEST_F(EventRecorderTest, TriesWaitingAndSeriesAreLimited) {
  options_.tries_max = 3;
  options_.waiting_max = 2;
  options_.series_max = 2;
  begin();
  api_.go_away();
  for (const char* note : {"a", "b", "c"}) record(note);  // the third finds no place
  pass(seconds(21));                                      // three tries of the first
  api_.come_back();
  pass(seconds(10));
  ASSERT_EQ(events().size(), 1u);
  EXPECT_EQ(events()[0]["note"], "b");
  record("a");  // forgotten as the oldest: a new one
  pass(seconds(1));
  EXPECT_EQ(events().size(), 2u);
}

TEST(KubeTime, MicroTimeHasSixDecimals) {
  EXPECT_EQ(micro_time(TimePoint(seconds(1'769'846'400) + std::chrono::microseconds(42))),
            "2026-01-31T08:00:00.000042Z");
  EXPECT_EQ(micro_time(TimePoint(Duration(999))), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(seconds_text(std::chrono::milliseconds(50)), "0.05 s");
  EXPECT_EQ(seconds_text(seconds(60)), "60 s");
  EXPECT_GT(WallClock().now(), TimePoint(seconds(1'700'000'000)));
}

}  // namespace
}  // namespace kvasir
