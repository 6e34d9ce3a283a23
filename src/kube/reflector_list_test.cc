// The table of a reflector's cases, first part: lists.
#include "kube/reflector_scene_fixture.h"

namespace kvasir {
namespace {

using Scene = ReflectorScene;
using Do = ScriptedStep::Do;
using std::chrono::seconds;

constexpr ReflectorCase kCases[] = {
    {"an empty kind is synced by its list",
     [](Scene& s) {
       s.begin();
       s.is_synced();
       s.holds("");
       EXPECT_EQ(s.batches, 1u);
     }},
    {"a streaming list is asked for first and goes on as a watch",
     [](Scene& s) {
       s.put("a b");
       s.begin();
       s.is_synced();
       s.hears("+a +b");
       s.put("c");
       s.hears("+c");
       EXPECT_EQ(s.server.requests.size(), 1u);
     }},
    {"a server that answers a streaming list with an ERROR event is asked for pages ever after",
     [](Scene& s) {
       s.server.streaming_lists = ScriptedApiServer::StreamingLists::kErrorEvent;
       s.begin_watching("a");
       s.server.say_expired();
       s.pass(seconds(1));
       s.is_synced_times(2);
       s.asked(kStreamingList, 1);
       s.asked(kPage, 2);
       s.is_told_times(0);
     }},
    {"an ERROR event without a code to a streaming list brings pages as well",
     [](Scene& s) {
       s.server.script({.what = Do::kBody,
                        .fits = kStreamingList,
                        .body = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\"}}\n",
                        .times = 1'000'000});
       s.put("a");
       s.begin();
       s.is_synced();
       s.holds("a");
       s.asked(kPage, 1);
     }},
    {"a server that refuses sendInitialEvents with 422 is asked for pages ever after",
     [](Scene& s) {
       s.server.streaming_lists = ScriptedApiServer::StreamingLists::kInvalid;
       s.begin_watching("a");
       s.server.say_expired();
       s.pass(seconds(1));
       s.is_synced_times(2);
       s.asked(kStreamingList, 1);
       s.is_told_times(0);
     }},
    {"a server that refuses sendInitialEvents with 400 is asked for pages",
     [](Scene& s) {
       s.server.script({.fits = kStreamingList, .code = 400, .reason = "BadRequest"});
       s.begin_watching("a");
       s.asked(kPage, 1);
       s.is_told_times(0);
     }},
    {"a streaming list that says nothing for a minute is given up for pages",
     [](Scene& s) {
       s.put("a");
       s.server.script({.what = Do::kStall, .fits = kStreamingList});
       s.begin();
       s.pass(seconds(59));
       EXPECT_FALSE(s.reflector->synced());
       s.pass(seconds(2));
       s.holds("a");
       s.asked(kPage, 1);
       s.is_told("no word from the API server for 60 s");
     }},
    {"a streaming list of which nothing more comes than changes and bookmarks is given up for "
     "pages",
     [](Scene& s) {
       s.server.streaming_lists = ScriptedApiServer::StreamingLists::kUnknown;
       s.put("a");
       s.begin();
       for (int i = 0; i < 4; ++i) {
         s.pass(seconds(20));
         s.put("a");  // as a Node does by its status
         s.server.bookmark();
       }
       s.is_synced_times(1);
       s.asked(kPage, 1);
       s.is_told("the list did not come to its end");
       s.put("b");
       s.hears("+a a a a a +b");
     }},
    {"a streaming list to which new objects come for ever is given up for pages",
     [](Scene& s) {
       s.server.streaming_lists = ScriptedApiServer::StreamingLists::kUnknown;
       s.put("a");
       s.begin();
       for (int i = 0; i < 40; ++i) {
         s.pass(seconds(10));
         s.put("b" + std::to_string(i));
       }
       s.is_synced_times(1);
       s.asked(kPage, 1);
     }},
    {"streaming lists that end twice before their bookmark are given up for pages",
     [](Scene& s) {
       s.server.script({.what = Do::kBody,
                        .fits = kStreamingList,
                        .body = Scene::event("ADDED", "a", "5", "uid-1"),
                        .times = 100});
       s.put("a b");
       s.begin();
       s.pass(seconds(5));
       s.is_synced_times(1);
       s.asked(kStreamingList, 2);
       s.asked(kPage, 1);
       s.holds("a b");
     }},
    {"a streaming list that ends before its bookmark is told and begun again",
     [](Scene& s) {
       s.server.script({.what = Do::kBody,
                        .fits = kStreamingList,
                        .body = Scene::event("ADDED", "a", "5", "uid-1")});
       s.put("a b");
       s.begin();
       s.is_told("cannot watch pods in namespace default: the list ended before its end");
       EXPECT_FALSE(s.reflector->synced());
       s.pass(seconds(1));
       s.holds("a b");
     }},
    {"a streaming list that is cut half way keeps what came and is begun again",
     [](Scene& s) {
       s.put("a b c d");
       s.server.script({.what = Do::kHalf, .fits = kStreamingList});
       s.begin();
       s.holds("a b");
       EXPECT_FALSE(s.reflector->synced());
       s.pass(seconds(1));
       s.is_synced();
       s.holds("a b c d");
     }},
    {"pages are followed to the last one",
     [](Scene& s) {
       s.put("a b c d e");
       s.begin({.name_space = "default", .page_objects = 2, .streaming_list = false});
       s.is_synced();
       s.hears("+a +b +c +d +e");
       s.asked(kPage, 3);
       EXPECT_EQ(s.batches, 3u);
     }},
    {"a slow list does not count before its last page",
     [](Scene& s) {
       s.put("a b c");
       s.server.script({.what = Do::kStall, .fits = "continue="});
       s.begin({.name_space = "default", .page_objects = 2, .streaming_list = false});
       s.holds("a b");
       s.pass(seconds(30));
       EXPECT_FALSE(s.reflector->synced());
       EXPECT_EQ(s.reflector->heard_at(), std::nullopt);
       s.is_stalled();
       s.server.go_on();
       s.is_synced();
       s.holds("a b c");
     }},
    {"pages that expire begin again at the first",
     [](Scene& s) {
       s.put("a b c");
       s.server.script({.what = Do::kStall, .fits = "continue="});
       s.begin({.name_space = "default", .page_objects = 2, .streaming_list = false});
       s.holds("a b");
       s.is_stalled();
       s.remove("a");
       s.server.compact();
       s.server.go_on();
       s.is_synced();
       s.hears("+a +b +c -a");
       s.asked(kPage, 3);
       s.is_told_times(0);
     }},
    {"pages that expire twice come as one answer",
     [](Scene& s) {
       s.put("a b c");
       s.server.script(
           {.fits = "continue=", .code = 410, .reason = "Expired", .message = "old", .times = 2});
       s.begin({.name_space = "default", .page_objects = 2, .streaming_list = false});
       s.is_synced();
       s.holds("a b c");
       s.asked(kPage, 4);
       s.asked(kWholeList, 1);
       s.is_told_times(0);
     }},
    {"half a JSON as a list is told and asked for again",
     [](Scene& s) {
       s.put("a");
       s.server.script({.what = Do::kBody, .fits = kPage, .body = R"({"kind":"PodList","ite)"});
       s.begin({.name_space = "default", .streaming_list = false});
       s.is_told("cannot list pods in namespace default: a list from the API server cannot be");
       s.pass(seconds(1));
       s.holds("a");
     }},
    {"a page whose bytes end half way is asked for again",
     [](Scene& s) {
       s.put("a");
       s.server.script({.what = Do::kHalf, .fits = kPage});
       s.begin({.name_space = "default", .streaming_list = false});
       s.is_told("cannot list pods");
       EXPECT_FALSE(s.reflector->synced());
       s.pass(seconds(1));
       s.holds("a");
     }},
    {"a list without a resourceVersion is not watched from nowhere",
     [](Scene& s) {
       s.server.script({.what = Do::kBody,
                        .fits = kPage,
                        .body = R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]})",
                        .times = 1'000'000});
       s.begin({.name_space = "default", .streaming_list = false});
       s.pass(seconds(300));
       EXPECT_EQ(s.server.watches(), 0u);
       EXPECT_LT(s.server.requests.size(), 40u);  // with pauses that grow
     }},
    {"label and field selectors are sent and what they leave out is not held",
     [](Scene& s) {
       Scene::Json other = Scene::pod("other");
       other["metadata"]["labels"]["app"] = "y";
       s.server.put(other);
       s.put("a b");
       s.begin({.name_space = "default",
                .label_selector = "app in (x,z)",
                .field_selector = "metadata.name!=b"});
       s.is_synced();
       s.holds("a");
       s.asked("labelSelector=app%20in%20%28x%2Cz%29&fieldSelector=metadata.name%21%3Db", 1);
     }},
    {"an object that a selector takes no more is gone and one that it takes again is new",
     [](Scene& s) {
       s.put("a");
       s.begin({.name_space = "default", .label_selector = "app=x"});
       s.hears("+a");
       Scene::Json other = Scene::pod("a");
       other["metadata"]["labels"]["app"] = "y";
       s.server.put(other);
       s.hears("-a");
       s.put("a");
       s.hears("+a");
     }},
    {"only the namespace that was asked for is read",
     [](Scene& s) {
       Scene::Json other = Scene::pod("other");
       other["metadata"]["namespace"] = "elsewhere";
       s.server.put(other);
       s.begin_watching("a");
       s.holds("a");
       s.asked("/api/v1/namespaces/default/pods?", 1);
     }},
    {"without a namespace all of them are read",
     [](Scene& s) {
       Scene::Json other = Scene::pod("b");
       other["metadata"]["namespace"] = "elsewhere";
       s.server.put(other);
       s.put("a");
       s.begin({});
       s.holds("a b");
       s.asked("/api/v1/pods?", 1);
     }},
    {"an object of a list that cannot be read is told and the others are held",
     [](Scene& s) {
       s.server.put(Scene::unreadable_pod("bad"));
       s.put("a");
       s.begin({.name_space = "default", .streaming_list = false});
       s.is_synced();
       s.holds("a");
       ASSERT_EQ(s.refused.size(), 1u);
       EXPECT_NE(s.refused[0].find("bad: status.podIP"), std::string::npos) << s.refused[0];
     }},
    {"an object that cannot be read is told once however many lists hold it",
     [](Scene& s) {
       s.server.put(Scene::unreadable_pod("bad"));
       s.begin_watching("a");
       for (int list = 0; list < 3; ++list) {
         s.server.say_expired();
         s.pass(seconds(60));
       }
       s.is_synced_times(4);
       EXPECT_EQ(s.refused.size(), 1u);
     }},
    {"of more objects than the store takes the first left out is told and comes when there is room",
     [](Scene& s) {
       for (int i = 0; i < 6'002; ++i) s.server.put(Scene::pod("p" + std::to_string(100'000 + i)));
       s.begin();
       s.is_synced();
       EXPECT_EQ(s.store.size(), 6'000u);
       ASSERT_EQ(s.refused.size(), 1u);
       EXPECT_NE(s.refused[0].find("p106000: the store is full"), std::string::npos)
           << s.refused[0];
       s.remove("p100000 p100001");
       s.server.end_watches();
       s.pass(seconds(1));
       s.is_synced_times(2);
       EXPECT_EQ(s.store.size(), 6'000u);
       EXPECT_NE(s.store.get<Pod>("default", "p106001"), nullptr);
     }},
    {"five thousand pods come in pages of five hundred",
     [](Scene& s) {
       for (int i = 0; i < 5'000; ++i) s.server.put(Scene::pod("p" + std::to_string(i)));
       s.begin({.name_space = "default", .streaming_list = false});
       s.is_synced();
       EXPECT_EQ(s.store.size(), 5'000u);
       s.asked(kPage, 10);
       EXPECT_EQ(s.batches, 10u);
     }},
    {"a list with smaller versions than before is believed",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.say(Scene::event("MODIFIED", "a", "99999", "uid-1"));
       s.hears("a");
       s.server.say_expired();
       s.pass(seconds(1));
       s.is_synced_times(2);
       s.hears("a");
       s.put("a");
       s.hears("a");
     }},
};

class ReflectorListTest : public ::testing::TestWithParam<ReflectorCase> {};

TEST_P(ReflectorListTest, OnVirtualTime) {
  play<VirtualWire>(GetParam());
}
TEST_P(ReflectorListTest, OverHttp) {
  play<HttpWire>(GetParam());
}
INSTANTIATE_TEST_SUITE_P(When, ReflectorListTest, ::testing::ValuesIn(kCases), name_of_case);

}  // namespace
}  // namespace kvasir
