#include "feeds/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/virtual_executor_fixture.h"
#include "feeds/address_book.h"
#include "net/io/event_loop.h"
#include "net/io/resolver_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(EndpointsFile, IsReadAsUpstreamWritesIt) {
  const auto list = read_endpoints_file(R"(endpoints:
- name: vllm-0
  namespace: prod
  address: 10.0.0.1
  port: "8000"
  labels: {llm-d.ai/role: decode}
- {name: vllm-1, address: "fd00::1", port: 8001}
)",
                                        "e.yaml");
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].name, "prod/vllm-0");
  EXPECT_EQ((*list)[0].port, 8000);
  EXPECT_EQ(*(*list)[0].label("llm-d.ai/role"), "decode");
  EXPECT_EQ((*list)[1].host, "fd00::1");
}

TEST(EndpointsFile, AnEmptyListIsAFleetOfNobody) {
  const auto list = read_endpoints_file("endpoints: []\n", "e.yaml");
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->empty());
}

// As many as --max-endpoints says.
TEST(EndpointsFile, HoldsTenThousandEndpointsWithLabels) {
  std::string text = "endpoints:\n";
  for (int i = 0; i < 10'000; ++i) {
    const std::string number = std::to_string(i);
    text += "- name: vllm-" + number + "\n  namespace: production\n  address: 10." +
            std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
            std::to_string(i % 256) + "\n  port: 8000\n  labels:\n";
    for (int label = 0; label < 20; ++label) {
      text += "    example.com/label-" + std::to_string(label) + ": value-" + number + "\n";
    }
  }
  const auto list = read_endpoints_file(text, "e.yaml", 10'000);
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->size(), 10'000u);
  EXPECT_EQ(*list->back().label("example.com/label-19"), "value-9999");
  EXPECT_FALSE(read_endpoints_file(text, "e.yaml")) << "there is a limit";
}

TEST(EndpointsFile, ManyMistakesMakeNoBook) {
  std::string text = "endpoints:\n";
  for (int i = 0; i < 3000; ++i) text += "- {name: a, address: x, port: 0}\n";
  const auto list = read_endpoints_file(text, "e.yaml");
  ASSERT_FALSE(list);
  EXPECT_LT(list.error().message.size(), 10'000u);
}

TEST(EndpointsFile, EveryMistakeIsNamedWithItsLine) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"", "list 'endpoints'"},
      {"endpoints: {}\n", "list 'endpoints'"},
      {"endpoints: [\n", "e.yaml:"},
      {"endpoints:\n- {address: 10.0.0.1, port: 1}\n", "name is missing"},
      {"endpoints:\n- {name: \"a\\r\\nx: y\", address: 10.0.0.1, port: 1}\n",
       "name must not contain control characters"},
      {"endpoints:\n- {name: a, address: some.host, port: 1}\n",
       "e.yaml:2: endpoints: address must be an IP"},
      {"endpoints:\n- {name: a, address: 10.0.0.1}\n", "port must be a port"},
      {"endpoints:\n- {name: a, address: 10.0.0.1, port: 70000}\n", "port must be a port"},
      {"endpoints:\n- {name: a, address: 10.0.0.1, port: \"18446744073709551617\"}\n",
       "port must be a port"},
      {"endpoints:\n- {name: a, address: 10.0.0.1, port: 1, labels: [x]}\n",
       "labels must be a map"},
      {"endpoints:\n- {name: a, adress: 10.0.0.1, port: 1}\n", "did you mean 'address'"},
      {"endpoints:\n- {name: a, address: 10.0.0.1, port: 1}\n- {name: a, address: 10.0.0.2, port: "
       "1}\n",
       "e.yaml:3: endpoints: name stands twice"},
  };
  for (const auto& [text, error] : cases) {
    const auto list = read_endpoints_file(text, "e.yaml");
    ASSERT_FALSE(list) << text;
    EXPECT_THAT(list.error().message, HasSubstr(error));
  }
}

TEST(AddressBook, KnowsLiteralsAndTheNamesItLookedUp) {
  AddressBook book;
  EXPECT_TRUE(book.follow("worker", {*literal_address("fd00::1"), *literal_address("10.0.0.2")}));
  EXPECT_EQ(address_text(book.find("worker", 9).value()), "10.0.0.2");
  EXPECT_TRUE(book.find("10.0.0.1", 9));
  EXPECT_EQ(book.find("::1", 9)->storage.ss_family, AF_INET6);
  EXPECT_FALSE(book.find("elsewhere", 9));
  EXPECT_FALSE(book.follow("worker", {*literal_address("10.0.0.3"), *literal_address("10.0.0.2")}));
  EXPECT_TRUE(book.follow("worker", {*literal_address("10.0.0.3")}));
  EXPECT_EQ(address_text(book.find("worker", 9).value()), "10.0.0.3");
}

// Runs the loop until a list or a failure came.
class DiscoveryTest : public ::testing::Test, protected DiscoveryListener {
 protected:
  DiscoveryTest() : loop_(std::move(EventLoop::create().value())) {}

  void on_endpoints(std::vector<Endpoint> endpoints) override {
    names_.clear();
    for (const Endpoint& endpoint : endpoints) names_.push_back(endpoint.name);
    if (waiting_) loop_->stop();
  }
  void on_endpoint_changes(EndpointChanges) override { FAIL() << "only full lists are given"; }
  void on_discovery_failed(std::string_view, std::string_view why) override {
    failures_.emplace_back(why);
    if (waiting_) loop_->stop();
  }
  void wait() {
    const TimerId timer = loop_->after(std::chrono::seconds(10), [this] {
      ADD_FAILURE() << "nothing happened";
      loop_->stop();
    });
    waiting_ = true;
    loop_->run();
    waiting_ = false;
    loop_->cancel(timer);
  }

  std::unique_ptr<EventLoop> loop_;
  std::vector<std::string> names_;
  std::vector<std::string> failures_;
  bool waiting_ = false;
};

class FileDiscoveryTest : public DiscoveryTest {
 protected:
  FileDiscoveryTest() : path_(::testing::TempDir() + "endpoints-" + std::to_string(getpid())) {}
  ~FileDiscoveryTest() override { unlink(path_.c_str()); }
  // Another file takes its place, as a ConfigMap's does.
  void write(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    ASSERT_EQ(rename((path_ + ".new").c_str(), path_.c_str()), 0);
  }
  static std::string file_of(const std::string& name) {
    return "endpoints:\n- {name: " + name + ", address: 10.0.0.1, port: 1}\n";
  }
  Result<std::unique_ptr<Discovery>> watch() {
    return watch_endpoints_file(*loop_, path_, milliseconds(1), *this);
  }
  const std::string path_;
};

TEST_F(FileDiscoveryTest, AChangedFileIsANewListAndABrokenOneKeepsTheOld) {
  write(file_of("a"));
  const auto discovery = watch();
  ASSERT_TRUE(discovery);
  EXPECT_THAT(names_, ::testing::ElementsAre("a"));
  write(file_of("b"));
  wait();
  EXPECT_THAT(names_, ::testing::ElementsAre("b"));
  write("endpoints: 7\n");
  wait();
  EXPECT_THAT(names_, ::testing::ElementsAre("b"));
  ASSERT_EQ(failures_.size(), 1u);
  unlink(path_.c_str());
  wait();
  EXPECT_THAT(failures_.back(), HasSubstr("cannot be read"));
  write(file_of("c"));
  wait();
  EXPECT_THAT(names_, ::testing::ElementsAre("c"));
}

TEST_F(FileDiscoveryTest, WithoutAFileThereIsNoStart) {
  const auto discovery = watch();
  ASSERT_FALSE(discovery);
  EXPECT_THAT(discovery.error().message, HasSubstr("cannot be read"));
}

TEST_F(DiscoveryTest, ANameIsLookedUpAgainAndAFailureKeepsTheOldList) {
  VirtualExecutor executor;
  FakeResolver resolver;
  resolver.set("name", {"10.0.0.2", "10.0.0.1"});
  const auto discovery = watch_dns(executor, resolver, {"name", 80}, seconds(5), *this);
  EXPECT_FALSE(discovery->settled());
  executor.run_until(executor.now());
  EXPECT_TRUE(discovery->settled());
  EXPECT_THAT(names_, ::testing::ElementsAre("10.0.0.1:80", "10.0.0.2:80"));
  resolver.fail("name", "try again");
  executor.run_until(executor.now() + seconds(15));
  EXPECT_THAT(failures_, ::testing::ElementsAre("try again"));
  EXPECT_EQ(names_.size(), 2u);
  resolver.set("name", {});
  executor.run_until(executor.now() + seconds(5));
  EXPECT_TRUE(names_.empty()) << "no addresses is an answer";
  resolver.set("name", {"fd00::1"});
  executor.run_until(executor.now() + seconds(5));
  EXPECT_THAT(names_, ::testing::ElementsAre("[fd00::1]:80"));
}

}  // namespace
}  // namespace kvasir
