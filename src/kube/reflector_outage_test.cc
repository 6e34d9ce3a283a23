// The table of a reflector's cases, third part: servers that are not there, and that say no.
#include "kube/reflector_scene_fixture.h"

namespace kvasir {
namespace {

using Scene = ReflectorScene;
using Do = ScriptedStep::Do;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr ReflectorCase kCases[] = {
    {"two minutes without a server keep the objects and their age is told",
     [](Scene& s) {
       s.begin_watching("a b");
       s.server_goes();
       s.pass(minutes(2));
       s.holds("a b");
       EXPECT_EQ(s.age(), minutes(2));
       EXPECT_TRUE(s.reflector->synced());
       EXPECT_FALSE(s.reflector->absent());
       s.is_told("cannot watch pods in namespace default: ");
       s.server_comes_back();
       s.put("c");
       s.pass(seconds(31));
       s.hears("+c");
       EXPECT_LE(s.age(), seconds(31));
     }},
    {"a server that is away is told once for watches and once for lists",
     [](Scene& s) {
       s.begin_watching("a");
       s.server_goes();
       s.pass(minutes(10));
       EXPECT_LE(s.told.size(), 3u);
     }},
    {"a server that restarts quickly is no trouble and its watch goes on",
     [](Scene& s) {
       s.begin_watching("a");
       s.server_goes();
       s.settle();
       s.server_comes_back();
       s.put("b");
       s.pass(seconds(1));
       s.hears("+b");
       s.is_synced_times(1);
       s.is_told_times(0);
     }},
    {"a server that restarts without its history is listed anew",
     [](Scene& s) {
       s.begin_watching("a b");
       s.server_goes();
       s.settle();
       s.remove("a");
       s.server.compact();
       s.server_comes_back();
       s.pass(seconds(2));
       s.hears("-a");
       s.is_synced_times(2);
     }},
    {"a server that is not there at the begin is told and found when it comes",
     [](Scene& s) {
       s.server_goes();
       s.begin();
       s.is_told("cannot watch pods in namespace default: ");
       s.pass(minutes(1));
       EXPECT_FALSE(s.reflector->synced());
       EXPECT_EQ(s.reflector->heard_at(), std::nullopt);
       s.is_told_times(1);
       s.put("a");
       s.server_comes_back();
       s.pass(seconds(31));
       s.holds("a");
     }},
    {"after news the first pause is short again",
     [](Scene& s) {
       s.begin_watching("a");
       s.server_goes();
       s.pass(minutes(5));
       s.server_comes_back();
       s.pass(seconds(31));
       s.put("b");
       s.hears("+b");
       s.server_goes();
       s.settle();
       s.server_comes_back();
       s.put("c");
       s.pass(seconds(1));
       s.hears("+c");
     }},
    {"tries without an answer come to two in thirty seconds at most",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.script({.code = 503, .reason = "ServiceUnavailable", .times = 1'000'000});
       s.server.end_watches();
       s.pass(minutes(2));
       const size_t before = s.server.requests.size();
       s.pass(minutes(10));
       EXPECT_LE(s.server.requests.size() - before, 41u);
       EXPECT_GE(s.server.requests.size() - before, 20u);
     }},
    {"429 with Retry-After is waited for",
     [](Scene& s) {
       s.put("a");
       s.server.script({.code = 429,
                        .reason = "TooManyRequests",
                        .message = "too many requests",
                        .fields = "Retry-After: 10\r\n"});
       s.begin();
       s.is_told("too many requests");
       s.pass(seconds(9));
       EXPECT_EQ(s.server.requests.size(), 1u);
       s.pass(seconds(2));
       s.holds("a");
     }},
    {"a Retry-After of an hour does not keep it away for longer than the longest pause",
     [](Scene& s) {
       s.put("a");
       s.server.script({.code = 429, .reason = "x", .fields = "Retry-After: 3600\r\n"});
       s.begin();
       s.pass(seconds(31));
       s.holds("a");
     }},
    {"500 and 503 to a list are told and tried again",
     [](Scene& s) {
       s.put("a");
       s.server.script({.fits = kPage, .code = 503, .message = "starting"});
       s.server.script({.fits = kPage, .code = 500, .message = "etcdserver: no leader"});
       s.begin({.name_space = "default", .streaming_list = false});
       s.pass(seconds(2));
       s.holds("a");
       s.is_told_times(2);
       s.is_told("cannot list pods in namespace default: etcdserver: no leader");
     }},
    {"504 to a list is tried again after what the server asks",
     [](Scene& s) {
       s.put("a");
       s.server.script({.code = 504,
                        .reason = "Timeout",
                        .message = "Too large resource version: 9, current: 5",
                        .details = {{"retryAfterSeconds", 3}}});
       s.begin();
       s.pass(seconds(2));
       s.holds("");
       s.pass(seconds(2));
       s.holds("a");
     }},
    {"an answer that is no Status is told by its number",
     [](Scene& s) {
       s.server.script({.code = 502, .body = "<html>Bad Gateway</html>"});
       s.begin();
       s.is_told("cannot watch pods in namespace default: ");
       s.is_told("502");
     }},
    {"401 keeps the objects and a new token brings the news",
     [](Scene& s) {
       s.server.tokens = {"old"};
       s.use_token("old");
       s.begin_watching("a");
       s.server.tokens = {"new"};
       s.server.end_watches();
       s.pass(seconds(5));
       s.is_told("Unauthorized");
       s.is_told_times(1);
       s.holds("a");
       s.put("b");
       s.use_token("new");
       s.pass(seconds(61));
       s.holds("a b");
       s.is_synced_times(1);
     }},
    {"a token that rotates while a watch is open loses nothing",
     [](Scene& s) {
       s.server.tokens = {"old"};
       s.use_token("old");
       s.begin_watching("a");
       s.server.tokens = {"new"};
       s.use_token("new");
       s.put("b");
       s.hears("+b");
       s.server.end_watches();
       s.pass(seconds(61));
       s.put("c");
       s.pass(seconds(1));
       s.hears("+c");
     }},
    {"a kind that is not installed is absent and told once and noticed soon after it comes",
     [](Scene& s) {
       const KubeType& type = kube_type(KubeKind::kInferenceObjective);
       s.server.uninstall(type.api_version(), "InferenceObjective");
       s.begin({.name_space = "default"}, type);
       s.is_told(
           "cannot watch inferenceobjectives.llm-d.ai in namespace default: the server could");
       s.is_told("is this kind installed?");
       EXPECT_TRUE(s.reflector->absent());
       EXPECT_FALSE(s.reflector->synced());
       s.pass(minutes(10));
       s.is_told_times(1);
       s.server.install(type.api_version(), "InferenceObjective", "inferenceobjectives");
       s.server.put({{"apiVersion", type.api_version()},
                     {"kind", "InferenceObjective"},
                     {"metadata", {{"name", "critical"}}},
                     {"spec", {{"priority", 7}, {"poolRef", {{"name", "p"}}}}}});
       s.pass(seconds(30));
       s.is_synced();
       EXPECT_FALSE(s.reflector->absent());
       s.hears("+critical");
     }},
    {"a kind that is uninstalled keeps its objects until it comes back without them",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.uninstall("v1", "Pod");
       s.pass(seconds(5));
       EXPECT_TRUE(s.reflector->absent());
       s.holds("a");
       s.server.install("v1", "Pod", "pods");
       s.put("b");
       s.pass(seconds(31));
       s.hears("+b -a");
       EXPECT_FALSE(s.reflector->absent());
     }},
    {"403 is told once with the words of the server and its end is noticed",
     [](Scene& s) {
       s.put("a");
       s.server.script({.code = 403,
                        .reason = "Forbidden",
                        .message = "pods is forbidden: User \"epp\" cannot list resource \"pods\"",
                        .times = 8});
       s.begin();
       s.is_told("cannot list pods in namespace default: pods is forbidden: User \"epp\" cannot");
       EXPECT_TRUE(s.reflector->absent());
       s.pass(seconds(89));
       s.is_told_times(1);
       s.pass(seconds(31));
       s.holds("a");
       EXPECT_FALSE(s.reflector->absent());
     }},
    {"without the verb watch the kind is listed every half minute and that is told once",
     [](Scene& s) {
       s.put("a");
       s.server.script({.fits = "watch=1",
                        .code = 403,
                        .reason = "Forbidden",
                        .message = "pods is forbidden: User \"epp\" cannot watch resource",
                        .times = 1'000'000});
       s.begin();
       s.is_synced();
       s.holds("a");
       s.is_told("cannot watch pods in namespace default: pods is forbidden");
       s.put("b");
       s.pass(seconds(30));
       s.holds("a b");
       EXPECT_FALSE(s.reflector->absent());
       s.pass(minutes(10));
       s.is_told_times(1);
       EXPECT_LE(s.age(), seconds(30));
     }},
    {"without the verb list a streaming list is enough",
     [](Scene& s) {
       s.server.script({.fits = kPage, .code = 403, .reason = "Forbidden", .times = 1'000'000});
       s.begin_watching("a");
       s.holds("a");
       s.is_told_times(0);
     }},
    {"a verb that is taken away while it watches is told and the objects are kept",
     [](Scene& s) {
       s.begin_watching("a");
       s.server.script({.code = 403,
                        .reason = "Forbidden",
                        .message = "pods is forbidden: RBAC: role \"epp\" not found",
                        .times = 12});
       s.server.end_watches();
       s.pass(minutes(2));
       s.is_told("RBAC: role");
       s.holds("a");
       EXPECT_GE(s.age(), seconds(119));
     }},
    {"trouble that comes back after news is told again",
     [](Scene& s) {
       s.begin_watching("a");
       for (int outage = 1; outage <= 2; ++outage) {
         s.server_goes();
         s.pass(seconds(2));
         s.is_told_times(outage);
         s.server_comes_back();
         s.pass(seconds(10));
         s.put("a");
         s.hears("a");
       }
     }},
};

class ReflectorOutageTest : public ::testing::TestWithParam<ReflectorCase> {};

TEST_P(ReflectorOutageTest, OnVirtualTime) {
  play<VirtualWire>(GetParam());
}
TEST_P(ReflectorOutageTest, OverHttp) {
  play<HttpWire>(GetParam());
}
INSTANTIATE_TEST_SUITE_P(When, ReflectorOutageTest, ::testing::ValuesIn(kCases), name_of_case);

}  // namespace
}  // namespace kvasir
