// `kvasir controller` as a process, without an Envoy: what it writes, and what it says
// (tests/controller has the real Envoy).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "program.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kRoutes = R"(
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw}, spec: {gatewayClassName: kvasir, listeners: [{name: http, port: 80, protocol: HTTP}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}, spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: SERVICE, port: 80}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: other}, spec: {ports: [{port: 80}]}}
)";

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest()
      : folder_(fs::temp_directory_path() / ("controller_" + std::to_string(getpid()))),
        out_(folder_ / "envoy") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    lead_to("web");
  }
  ~ControllerTest() override { fs::remove_all(folder_); }

  void write(const std::string& text) const { std::ofstream(folder_ / "routes.yaml") << text; }
  void lead_to(const std::string& service) const {
    std::string text = kRoutes;
    text.replace(text.find("SERVICE"), 7, service);
    write(text);
  }
  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"controller", "-f", (folder_ / "routes.yaml").string(),
                                      "--out", out_.string()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  // The cluster of the first route; empty: there is none.
  std::string leads_to() const {
    std::ifstream file(out_ / "routes/port-80.json");
    const auto json = nlohmann::json::parse(file, nullptr, false);
    if (json.is_discarded()) return "";
    return json["resources"][0]["virtual_hosts"][0]["routes"][0]
        .value("route", nlohmann::json::object())
        .value("cluster", "");
  }

  const fs::path folder_;
  const fs::path out_;
};

TEST_F(ControllerTest, OnceWritesEverythingAndEnds) {
  Program controller(command({"--once", "--listener-port", "80=8080"}));
  EXPECT_EQ(controller.wait(), 0) << controller.output();
  EXPECT_EQ(leads_to(), "service/default/web:80");
  for (const char* name : {"bootstrap.json", "clusters.json", "listeners.json"}) {
    EXPECT_TRUE(fs::exists(out_ / name)) << name;
  }
  std::ifstream file(out_ / "listeners.json");
  const std::string listeners{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(listeners, HasSubstr("\"port_value\": 8080"));
  EXPECT_THAT(controller.output(),
              HasSubstr("start it by envoy -c " + out_.string() + "/bootstrap.json"));
}

TEST_F(ControllerTest, FollowsTheObjectsAndKeepsWhatItHadFromABadFile) {
  Program controller(command());
  ASSERT_TRUE(controller.comes_to_say("start it by")) << controller.output();
  lead_to("other");
  ASSERT_TRUE(controller.comes_to_say("files for Envoy are new")) << controller.output();
  EXPECT_EQ(leads_to(), "service/default/other:80");
  write("kind: Gateway\n");
  ASSERT_TRUE(controller.comes_to_say("routes: not used: ")) << controller.output();
  EXPECT_EQ(leads_to(), "service/default/other:80");
  lead_to("nobody");
  ASSERT_TRUE(controller.comes_to_say("BackendNotFound")) << controller.output();
  EXPECT_EQ(leads_to(), "");
  controller.signal(SIGTERM);
  EXPECT_EQ(controller.wait(), 0);
}

TEST_F(ControllerTest, SaysWhatIsWrongWithItsFlags) {
  const auto refused = [this](std::vector<std::string> more) {
    Program controller(command(std::move(more)));
    EXPECT_EQ(controller.wait(), 2);
    return controller.output();
  };
  EXPECT_THAT(refused({"--listener-port", "80"}), HasSubstr("'80' is not LISTENER=ENVOY"));
  EXPECT_THAT(refused({"--listener-port", "80=1", "--listener-port", "80=2"}),
              HasSubstr("80 is there twice"));
  EXPECT_THAT(refused({"--admin", "nowhere"}), HasSubstr("--admin: "));
  EXPECT_THAT(refused({"--envoy-folder", "here"}), HasSubstr("does not begin with a slash"));
  EXPECT_THAT(refused({"-f", (folder_ / "absent.yaml").string()}), HasSubstr("absent.yaml"));
}

TEST_F(ControllerTest, BootstrapPrintsHowEnvoyIsStarted) {
  Program controller({"controller", "--out", out_.string() + "/", "--bootstrap"});
  EXPECT_EQ(controller.wait(), 0);
  EXPECT_EQ(controller.output(), "envoy -c " + out_.string() + "/bootstrap.json\n");
  EXPECT_FALSE(fs::exists(out_));
}

}  // namespace
}  // namespace kvasir
