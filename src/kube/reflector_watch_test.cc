// The table of a reflector's cases, second part: watches.
#include "kube/reflector_scene_fixture.h"

namespace kvasir {
namespace {

using Scene = ReflectorScene;
using Do = ScriptedStep::Do;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr ReflectorCase kCases[] = {
    {"new, changed and deleted objects are heard in their order",
     [](Scene& s) {
       s.begin_watching("a");
       s.put("b");
       s.put("a");
       s.remove("b");
       s.hears("+b a -b");
     }},
    {"one read of a watch is one batch",
     [](Scene& s) {
       s.begin_watching("");
       s.server.hold_events(true);
       s.put("a b c");
       s.batches = 0;
       s.server.hold_events(false);
       s.hears("+a +b +c");
       s.settle();
       EXPECT_EQ(s.batches, 1u);
     }},
    {"an event does not wait for the next one to be heard and its batch to end",
     [](Scene& s) {
       s.begin_watching("");
       s.batches = 0;
       s.put("a");
       s.hears("+a");
       s.waits_for([&] { return s.batches == 1; }, "a batch");
       s.put("b");
       s.hears("+b");
       s.waits_for([&] { return s.batches == 2; }, "a second batch");
     }},
    {"an event that comes twice changes nothing the second time",
     [](Scene& s) {
       s.begin_watching("");
       const std::string line = Scene::event("ADDED", "a", "2000");
       s.server.say(line + line + Scene::event("ADDED", "b", "2001"));
       s.hears("+a +b");
     }},
    {"an object with the version that is known is no change whatever the event says",
     [](Scene& s) {
       s.begin_watching("");
       s.server.say(Scene::event("ADDED", "a", "2000"));
       s.server.say(Scene::event("MODIFIED", "a", "2000"));
       s.server.say(Scene::event("ADDED", "b", "2001"));
       s.hears("+a +b");
     }},
    {"an event that is older than what is known is dropped",
     [](Scene& s) {
       s.begin_watching("");
       s.server.say(Scene::event("ADDED", "a", "2000") + Scene::event("MODIFIED", "a", "10000") +
                    Scene::event("MODIFIED", "a", "9999") + Scene::event("ADDED", "b", "10001"));
       s.hears("+a a +b");
       EXPECT_EQ(s.store.get<Pod>("default", "a")->meta.resource_version, "10000");
     }},
    {"events of several objects in another order all count",
     [](Scene& s) {
       s.begin_watching("");
       s.server.say(Scene::event("ADDED", "b", "2002") + Scene::event("ADDED", "a", "2001"));
       s.hears("+b +a");
     }},
    {"a late event does not bring a deleted object back",
     [](Scene& s) {
       s.begin_watching("");
       s.server.say(Scene::event("ADDED", "a", "2000") + Scene::event("DELETED", "a", "2002") +
                    Scene::event("MODIFIED", "a", "2001") + Scene::event("ADDED", "b", "2003"));
       s.hears("+a -a +b");
     }},
    {"a late deletion does not take away the object that came after",
     [](Scene& s) {
       s.begin_watching("");
       s.server.say(
           Scene::event("ADDED", "a", "2000", "old") + Scene::event("ADDED", "a", "2002", "new") +
           Scene::event("DELETED", "a", "2001", "old") + Scene::event("ADDED", "b", "2003"));
       s.hears("+a -a +a +b");
     }},
    {"a deletion of what is not known is no change",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.say(Scene::event("DELETED", "nobody", "2000") + Scene::event("ADDED", "b", "2001"));
       s.hears("+b");
     }},
    {"an object that was deleted and made again under its name unseen is gone and new",
     [](Scene& s) {
       s.begin_watching("a b");
       s.server.hold_events(true);
       s.remove("a");
       s.put("a");
       s.server.compact();
       s.server.cut_watches();
       s.server.hold_events(false);
       s.pass(seconds(2));
       s.hears("-a +a");
       s.holds("a b");
     }},
    {"versions that are no numbers are taken in the order in which they come",
     [](Scene& s) {
       s.begin_watching("");
       s.server.say(Scene::event("ADDED", "a", "y-9") + Scene::event("MODIFIED", "a", "x-1") +
                    Scene::event("DELETED", "a", "w-5"));
       s.hears("+a a -a");
     }},
    {"a bookmark says from where the next watch begins",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.put({{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", {{"name", "s"}}}});
       s.server.bookmark();
       s.settle();
       s.server.end_watches();
       s.pass(seconds(1));
       s.is_watched_from(std::to_string(s.server.version()));
     }},
    {"a watch of bookmarks alone keeps what is known young and asks for nothing",
     [](Scene& s) {
       s.begin_watching("a");
       for (int minute = 0; minute < 60; ++minute) {
         s.pass(minutes(1));
         s.server.bookmark();
         s.settle();
         EXPECT_EQ(s.age(), Duration::zero());
       }
       s.hears("");
       EXPECT_EQ(s.server.requests.size(), 1u);
     }},
    {"a watch that says nothing for 180 seconds is begun again from where it was",
     [](Scene& s) {
       s.begin_watching("a");
       const std::string version = std::to_string(s.server.version());
       s.server.hold_events(true);
       s.put("b");
       s.pass(seconds(179));
       EXPECT_EQ(s.server.requests.size(), 1u);
       s.pass(seconds(2));
       s.is_watched_from(version);
       s.server.hold_events(false);
       s.hears("+b");
       s.is_told_times(0);
       s.is_synced_times(1);
     }},
    {"a server that takes watches and never says a word is told and asked for a list",
     [](Scene& s) {
       s.server.streaming_lists = ScriptedApiServer::StreamingLists::kInvalid;
       s.begin_watching("a");
       s.server.hold_events(true);
       s.pass(minutes(7));
       s.is_told("no word from the API server for 180 s");
       s.is_told_times(1);
       s.pass(minutes(20));
       EXPECT_GE(s.synced, 2u);
       s.is_told_times(1);
       s.holds("a");
     }},
    {"a watch that ends goes on from the last version and loses nothing",
     [](Scene& s) {
       s.begin_watching("a");
       s.put("b");
       s.hears("+b");
       const std::string version = std::to_string(s.server.version());
       s.server.hold_events(true);
       s.put("c");
       s.remove("a");
       s.pass(seconds(3));
       s.server.end_watches();
       s.settle();
       s.server.hold_events(false);
       s.is_watched_from(version);
       s.hears("+c -a");
       s.is_synced_times(1);
       s.is_told_times(0);
     }},
    {"a watch that ends at once every time is not begun more often than the pauses allow",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.script({.what = Do::kBody, .fits = kWatch, .body = "", .times = 1'000'000});
       s.server.end_watches();
       s.pass(minutes(5));
       EXPECT_LT(s.server.requests.size(), 60u);
       s.holds("a");
     }},
    {"a watch whose every try ends after one word begins five times a second at most",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.script({.what = Do::kBody,
                        .fits = kWatch,
                        .body = Scene::event("MODIFIED", "a", "5000", "uid-1"),
                        .times = 1'000'000});
       s.server.end_watches();
       s.pass(seconds(10));
       EXPECT_LE(s.server.requests.size(), 60u);
     }},
    {"410 as an event brings a new list and what it does not hold is gone",
     [](Scene& s) {
       s.begin_watching("a b");
       s.server.hold_events(true);
       s.remove("a");
       s.put("c");
       s.server.say_expired();
       s.pass(seconds(1));
       s.is_synced_times(2);
       s.hears("+c -a");
       s.is_told_times(0);
     }},
    {"410 as the answer to a watch brings a new list",
     [](Scene& s) {
       s.begin_watching("a b");
       s.server.script({.fits = kWatch, .code = 410, .reason = "Expired", .message = "too old"});
       s.server.hold_events(true);
       s.remove("a");
       s.server.hold_events(false);
       s.server.end_watches();
       s.pass(seconds(1));
       s.holds("b");
     }},
    {"410 after every list makes lists with pauses that grow",
     [](Scene& s) {
       s.server.streaming_lists = ScriptedApiServer::StreamingLists::kInvalid;
       s.server.script({.fits = kWatch, .code = 410, .reason = "Expired", .times = 1'000'000});
       s.put("a");
       s.begin();
       s.pass(minutes(5));
       EXPECT_LT(s.server.requests_of(kPage), 30u);
       s.holds("a");
     }},
    {"an ERROR event of a code that nobody knows is told and brings a new list",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.say(ScriptedApiServer::event_line(
           "ERROR", ScriptedApiServer::status_json(418, "Teapot", "short and stout")));
       s.is_told("cannot watch pods in namespace default: short and stout");
       s.pass(seconds(1));
       s.is_synced_times(2);
       s.hears("");
     }},
    {"an ERROR event without a code brings a later try from where it was",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.say(
           "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\"}}\n");
       s.pass(seconds(1));
       s.put("b");
       s.hears("+b");
       s.is_synced_times(1);
     }},
    {"an ERROR event of code 429 is obeyed and the watch goes on from where it was",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.say(ScriptedApiServer::event_line(
           "ERROR", ScriptedApiServer::status_json(429, "TooManyRequests", "later",
                                                   {{"retryAfterSeconds", 7}})));
       s.pass(seconds(6));
       EXPECT_EQ(s.server.requests.size(), 1u);
       s.pass(seconds(2));
       s.put("b");
       s.hears("+b");
       s.is_synced_times(1);
     }},
    {"an overloaded server is never asked for a list in place of a watch",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.script({.fits = kWatch,
                        .code = 429,
                        .reason = "TooManyRequests",
                        .message = "too many requests, please try again later",
                        .fields = "Retry-After: 1\r\n",
                        .times = 12});
       s.server.end_watches();
       s.pass(seconds(20));
       s.put("b");
       s.pass(minutes(5));
       s.hears("+b");
       s.is_told_times(1);
       s.is_synced_times(1);
       EXPECT_EQ(s.server.requests_of("sendInitialEvents") + s.server.requests_of(kPage), 1u);
     }},
    {"a watch from a version that the server has not reached waits and then lists anew",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.script({.fits = kWatch,
                        .code = 504,
                        .reason = "Timeout",
                        .message = "Too large resource version: 1001, current: 5",
                        .details = {{"causes", {{{"reason", "ResourceVersionTooLarge"}}}},
                                    {"retryAfterSeconds", 1}},
                        .times = 5});
       s.server.end_watches();
       s.pass(seconds(4));
       s.is_told("Too large resource version");
       s.pass(minutes(1));
       s.is_synced_times(2);
       s.is_told_times(1);
       s.put("b");
       s.hears("+b");
     }},
    {"a watch that is closed in the middle of a line goes on and that event comes whole",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.hold_events(true);
       s.put("b");
       s.server.say(R"({"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"b","name)");
       s.server.cut_watches();
       s.settle();
       s.holds("a");
       s.server.hold_events(false);
       s.pass(seconds(1));
       s.hears("+b");
       s.is_synced_times(1);
       s.is_told_times(0);
     }},
    {"half a JSON as an event is told and brings a new list",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.say("{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"na\n");
       s.is_told("an event from the API server cannot be read");
       s.pass(seconds(1));
       s.is_synced_times(2);
       s.put("b");
       s.hears("+b");
     }},
    {"what a watch says after something that cannot be read is not believed",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.say("nonsense\n" + Scene::event("ADDED", "ghost", "2000"));
       s.pass(seconds(1));
       s.is_synced_times(2);
       s.hears("");
     }},
    {"an event of an object that cannot be read is told and what was known is kept",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.put(Scene::unreadable_pod("a"));
       s.put("b");
       s.hears("+b");
       s.holds("a b");
       ASSERT_EQ(s.refused.size(), 1u);
       EXPECT_NE(s.refused[0].find("a: status.podIP"), std::string::npos) << s.refused[0];
       s.put("a");
       s.hears("a");
     }},
    {"an object that can be read no more is gone when it is deleted",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.put(Scene::unreadable_pod("a"));
       s.remove("a");
       s.hears("-a");
     }},
    {"a namespace that is deleted takes its pods with it one by one",
     [](Scene& s) {
       s.begin_watching("a b c");
       s.remove("a b c");
       s.server.bookmark();
       s.hears("-a -b -c");
       s.server.end_watches();
       s.pass(seconds(1));
       s.holds("");
       s.is_synced_times(1);
     }},
    {"two reflectors of overlapping selectors do not take each other's objects away",
     [](Scene& s) {
       s.begin_watching("a");
       Random random(2);
       ReflectorProbe probe;
       ScriptedKubeApi api(s.executor, s.server);
       Reflector other(s.executor, api, s.store, kube_type(KubeKind::kPod),
                       {.name_space = "default", .label_selector = "app=x"}, random, probe);
       s.waits_for([&] { return other.synced(); }, "the other");
       Scene::Json changed = Scene::pod("a");
       changed["metadata"]["labels"]["app"] = "y";
       s.server.put(changed);
       s.hears("a");
       s.holds("a");
       s.remove("a");
       s.hears("-a");
     }},
    {"a reflector that goes in the middle of a watch leaves its objects and asks no more",
     [](Scene& s) {
       s.begin_watching("a");
       s.put("b");
       s.reflector.reset();
       s.put("c");
       s.pass(minutes(10));
       EXPECT_EQ(s.server.watches(), 0u);
       EXPECT_EQ(s.server.requests.size(), 1u);
       EXPECT_GE(s.store.size(), 1u);
     }},
};

class ReflectorWatchTest : public ::testing::TestWithParam<ReflectorCase> {};

TEST_P(ReflectorWatchTest, OnVirtualTime) {
  play<VirtualWire>(GetParam());
}
TEST_P(ReflectorWatchTest, OverHttp) {
  play<HttpWire>(GetParam());
}
// Only the real client has a limit.
constexpr ReflectorCase kTooLarge = {
    "an event that is larger than the limit is told and what is known is kept until it is gone",
    [](Scene& s) {
      s.begin_watching("a b");
      Scene::Json large = Scene::pod("large");
      large["metadata"]["annotations"] = {{"x", std::string(HttpWire::kAnswerBytesMax, 'x')}};
      s.server.put(large);
      s.remove("b");
      s.pass(minutes(2));
      s.is_told("an event is larger than 1048576 bytes");
      EXPECT_LE(s.told.size(), 3u);
      s.holds("a b");
      s.remove("large");
      s.put("c");
      s.server.compact();
      s.pass(seconds(31));
      s.holds("a c");
    }};
TEST(ReflectorTooLargeTest, OverHttp) {
  play<HttpWire>(kTooLarge);
}

INSTANTIATE_TEST_SUITE_P(When, ReflectorWatchTest, ::testing::ValuesIn(kCases), name_of_case);

}  // namespace
}  // namespace kvasir
