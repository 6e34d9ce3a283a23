// A refused address or port: the error names the flag to change and what to write there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/io/socket.h"
#include "program.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What a program says that refuses to start.
std::string refusal(const std::vector<std::string>& arguments) {
  Program program(arguments);
  const std::optional<int> status = program.wait();
  EXPECT_TRUE(status == 1 || status == 2) << status.value_or(-1);
  return program.output();
}

TEST(Advice, AnAddressIsWrittenAsItsFlagWantsIt) {
  const std::vector<std::vector<std::string>> bare = {
      {"epp", "--endpoints", "foo"},
      {"epp", "--dns", "foo"},
      {"epp", "--endpoints", "127.0.0.1:1", "--peers", "foo"},
      {"gateway", "--dns", "foo"},
      {"conformance", "epp", "--target", "foo"},
      {"conformance", "epp", "--target", "a:1", "--health-target", "foo"},
      {"conformance", "epp", "--target", "a:1", "--empty-target", "foo"},
  };
  for (const auto& arguments : bare) {
    EXPECT_THAT(refusal(arguments), AllOf(HasSubstr("'foo' is not an address: write HOST:PORT\n"),
                                          HasSubstr(arguments[arguments.size() - 2] + ": ")));
  }
  for (const char* program : {"up", "gateway"}) {
    EXPECT_THAT(refusal({program, "--worker-urls", "foo"}),
                HasSubstr("--worker-urls: 'foo' is not an address: write http://HOST:PORT"));
  }
}

TEST(Advice, TlsAndPathsOfWorkersAreNamed) {
  for (const char* program : {"up", "gateway"}) {
    EXPECT_THAT(refusal({program, "--worker-urls", "https://10.0.0.1:8000"}),
                AllOf(HasSubstr("--worker-urls: "), HasSubstr("TLS"), HasSubstr("workers")));
    EXPECT_THAT(refusal({program, "--worker-urls", "http://10.0.0.1:8000/v1"}),
                HasSubstr("--worker-urls: 'http://10.0.0.1:8000/v1' has a path: leave out '/v1'"));
    EXPECT_THAT(refusal({program, "--worker-urls", "http://me:secret@10.0.0.1:8000"}),
                AllOf(HasSubstr("'@'"), Not(HasSubstr("secret"))));
  }
}

TEST(Advice, RolesAndRoutesOfTheGatewayAreNamed) {
  const std::string prefill = "http://10.0.0.1:8000", decode = "http://10.0.0.2:8000";
  const std::vector<std::pair<std::vector<std::string>, std::string>> refused = {
      {{"--prefill-urls", prefill}, "--prefill-urls: nobody decodes: --decode-urls"},
      {{"--decode-urls", decode}, "--decode-urls: nobody prefills: --prefill-urls"},
      {{"--prefill-urls", "foo", "--decode-urls", decode}, "--prefill-urls: 'foo'"},
      {{"--prefill-urls", prefill + "," + prefill, "--decode-urls", decode},
       "--prefill-urls: 10.0.0.1:8000 is named twice"},
      {{"--prefill-urls", prefill, "--decode-urls", decode, "--policy", "kv"}, "--policy: no named"},
      {{"--worker-urls", decode, "--header-route", "x-kv-backend=fs"},
       "--header-route: 'x-kv-backend=fs' is not NAME=VALUE=URL"},
      {{"--worker-urls", decode, "--kv-connector", "carrier-pigeon"}, "--kv-connector"},
  };
  for (const auto& [arguments, words] : refused) {
    std::vector<std::string> all = {"gateway"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    EXPECT_THAT(refusal(all), HasSubstr(words));
  }
}

TEST(Advice, APortInUseNamesItsOwnFlag) {
  const Descriptor other = std::move(listen_tcp("127.0.0.1", 0, false).value());
  const std::string port = std::to_string(local_port(other));
  const auto advice = [&](std::vector<std::string> arguments, const std::string& flag) {
    arguments.insert(arguments.end(), {"--host", "127.0.0.1", flag, port});
    EXPECT_THAT(refusal(arguments), HasSubstr("choose another with " + flag + "\n"));
  };
  const std::vector<std::string> flags = {"--grpc-port", "--grpc-health-port", "--metrics-port"};
  for (const std::string& flag : flags) {
    std::vector<std::string> picker = {"epp", "--endpoints", "127.0.0.1:1"};
    for (const std::string& free : flags) {
      if (free != flag) picker.insert(picker.end(), {free, "0"});
    }
    advice(picker, flag);
  }
  advice({"worker"}, "--port");
  advice({"worker", "--port", "0"}, "--health-port");
  advice({"worker", "--headless"}, "--health-port");
  advice({"gateway", "--worker-urls", "127.0.0.1:1"}, "--port");
}

TEST(Advice, AWrongHostIsNotThePortsFault) {
  for (const char* host : {"", "no.such.host.invalid", "192.0.2.1"}) {
    EXPECT_THAT(refusal({"worker", "--port", "0", "--host", host}),
                AllOf(HasSubstr("kvasir worker: --host: cannot "), Not(HasSubstr("--port"))));
    EXPECT_THAT(refusal({"epp", "--endpoints", "127.0.0.1:1", "--host", host}),
                AllOf(HasSubstr("kvasir epp: --host: cannot "), Not(HasSubstr("-port"))));
  }
}

}  // namespace
}  // namespace kvasir
