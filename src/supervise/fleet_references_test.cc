#include "supervise/fleet_references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

FleetPlaces places() {
  FleetPlaces places{"127.0.0.1", "/logs", "/fleets/pd", {}};
  places.processes = {{"prefill-0", "prefill", 0, {{"", 7001}, {"kv", 7002}}},
                      {"prefill-1", "prefill", 1, {{"", 7003}, {"kv", 7004}}},
                      {"decode", "decode", 0, {{"", 7005}}},
                      {"gateway", "gateway", 0, {{"", 8000}}}};
  return places;
}

std::vector<std::string> expanded(const std::string& text, size_t self = 0) {
  const FleetPlaces all = places();
  return expand_references(text, all, all.processes[self]).value();
}

std::string problem_of(const std::string& text) {
  const FleetPlaces all = places();
  const auto result = expand_references(text, all, all.processes[0]);
  return result ? "" : result.error().message;
}

TEST(FleetReferences, TellOfTheProcessItself) {
  EXPECT_THAT(
      expanded("{name} {number} {host} {port} {address} {url} {port.kv} {log-dir} {folder}", 1),
      ElementsAre("prefill-1 1 127.0.0.1 7003 127.0.0.1:7003 http://127.0.0.1:7003 7004 "
                  "/logs /fleets/pd"));
}

TEST(FleetReferences, TellOfAnother) {
  EXPECT_THAT(expanded("--to={decode.url}/v1"), ElementsAre("--to=http://127.0.0.1:7005/v1"));
  EXPECT_THAT(expanded("{prefill-1.port.kv},{prefill-0.address},{gateway.port}", 2),
              ElementsAre("7004,127.0.0.1:7001,8000"));
}

TEST(FleetReferences, AGroupOfSeveralMakesATextForEach) {
  EXPECT_THAT(expanded("--prefill={prefill.url} of {decode.port}"),
              ElementsAre("--prefill=http://127.0.0.1:7001 of 7005",
                          "--prefill=http://127.0.0.1:7003 of 7005"));
  EXPECT_THAT(problem_of("{prefill.url} {prefill.port}"), HasSubstr("only one group of several"));
}

TEST(FleetReferences, OtherBracesAreText) {
  for (const char* text : {R"({"a":{"b":1},"c":{}})", "{{ message }}", "{{name}}", "{", "}{",
                           "{a b}", "{.}", "{a.}", ""}) {
    EXPECT_THAT(expanded(text), ElementsAre(text));
  }
  EXPECT_THAT(expanded(R"({"kv_port":{port.kv},"name":"{name}"})"),
              ElementsAre(R"({"kv_port":7002,"name":"prefill-0"})"));
}

TEST(FleetReferences, WhoIsNotThereIsNamedAndWhoComesNear) {
  EXPECT_EQ(problem_of("{prefil.url}"),
            "{prefil.url}: there is no 'prefil' in this fleet; did you mean 'prefill'?");
  EXPECT_THAT(problem_of("{prot}"), HasSubstr("did you mean 'port'?"));
  EXPECT_THAT(problem_of("{decode.uri}"), HasSubstr(".port, .address, .url and .port.WORD"));
  EXPECT_THAT(problem_of("{decode.port.kv}"), HasSubstr("decode has no such port"));
}

TEST(FleetReferences, FurtherPortsAreThoseThatTheGroupSays) {
  FleetGroup group;
  group.arguments = {"--a={port.kv}", "--b={other.port.zmq}", "{port}"};
  group.variables = {{"SIDE", "{port.side}:{port.kv}"}};
  EXPECT_THAT(further_ports(group), ElementsAre("kv", "side"));
  EXPECT_THAT(further_ports({}), IsEmpty());
}

}  // namespace
}  // namespace kvasir
