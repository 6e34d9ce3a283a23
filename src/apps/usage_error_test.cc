#include "apps/usage_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// What is told about a command line of a program with subcommands in two levels.
std::string told(std::vector<const char*> arguments) {
  CLI::App app("", "kvasir");
  app.require_subcommand(1);
  CLI::App* gateway = app.add_subcommand("gateway");
  std::string text;
  gateway->add_option("--worker-urls", text);
  CLI::App* epp = app.add_subcommand("epp");
  for (const char* flag : {"--pool-name", "--grpc-port", "--secure-serving", "--metrics-port",
                           "--refresh-prometheus-metrics-interval", "--refresh-metrics-interval"}) {
    epp->add_option(flag, text);
  }
  app.add_subcommand("worker");
  CLI::App* bench = app.add_subcommand("bench");
  bench->require_subcommand(1);
  bench->add_subcommand("replay");
  CLI::App* ab = bench->add_subcommand("ab");
  ab->add_option("FILE", text)->required();
  ab->add_option("--arms", text);
  arguments.insert(arguments.begin(), "kvasir");
  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error);
  }
  return "fine";
}

TEST(UsageError, AnUnknownSubcommandIsNamedWithTheNearest) {
  EXPECT_EQ(told({"wroker"}),
            "kvasir: 'wroker': there is no such subcommand; did you mean 'worker'? (kvasir --help "
            "lists them)");
  EXPECT_EQ(told({"bench", "repaly", "--url", "x"}),
            "kvasir bench: 'repaly': there is no such subcommand; did you mean 'replay'? (kvasir "
            "bench --help lists them)");
  EXPECT_THAT(told({"frobnicate"}), Not(HasSubstr("did you mean")));
  EXPECT_THAT(told({""}), StartsWith("kvasir: '': there is no such subcommand"));
}

TEST(UsageError, AMissingSubcommandIsToldWithThoseThereAre) {
  EXPECT_EQ(told({"bench"}),
            "kvasir bench: a subcommand is missing: replay, ab (kvasir bench --help lists them)");
  EXPECT_THAT(told({}), HasSubstr("kvasir: a subcommand is missing: gateway, epp, worker, bench"));
}

TEST(UsageError, AnUnknownFlagIsNamedWithTheNearestAndWithoutItsValue) {
  const std::string flag =
      "kvasir gateway: --worker-url: there is no such flag; did you mean '--worker-urls'? (kvasir "
      "gateway --help lists them)";
  EXPECT_EQ(told({"gateway", "--worker-url", "X"}), flag);
  EXPECT_EQ(told({"gateway", "--worker-url=X"}), flag);
  EXPECT_THAT(told({"bench", "ab", "--amrs", "kv"}), HasSubstr("did you mean '--arms'?"));
  EXPECT_THAT(told({"bench", "ab", "file", "--frobnicate"}), HasSubstr("ab: --frobnicate: there"));
  EXPECT_THAT(told({"--worker-urls", "x", "gateway"}), StartsWith("kvasir: --worker-urls: there"));
  EXPECT_THAT(told({"-x"}), StartsWith("kvasir: -x: there is no such flag"));
}

// The Go picker's flags before they had dashes: one dash, camel case.
TEST(UsageError, AnOlderPickersFlagIsNamedAsItIsCalledToday) {
  const struct {
    const char* old;
    const char* now;
  } kFlags[] = {{"-poolName", "'--pool-name'?"},
                {"--poolName", "'--pool-name'?"},
                {"-grpcPort", "'--grpc-port'?"},
                {"-secureServing=false", "'--secure-serving'?"},
                {"-metricsPort", "'--metrics-port'?"},
                {"-refreshMetricsInterval", "'--refresh-metrics-interval'?"},
                {"-refreshPrometheusMetricsInterval", "'--refresh-prometheus-metrics-interval'?"},
                {"-destinationEndpointHintKey", "always x-gateway-destination-endpoint"},
                {"--destination-endpoint-hint-key=x", "always x-gateway-destination-endpoint"},
                {"-DestinationEndpointHintMetadataNamespace", "always envoy.lb"}};
  for (const auto& flag : kFlags) {
    EXPECT_THAT(told({"epp", flag.old, "x"}), HasSubstr(flag.now)) << flag.old;
    EXPECT_THAT(told({"epp", flag.old, "x"}), StartsWith("kvasir epp: -")) << flag.old;
  }
}

TEST(UsageError, AWordTooManyIsNamed) {
  EXPECT_THAT(told({"gateway", "foo"}), StartsWith("kvasir gateway: 'foo': one word too many"));
}

TEST(UsageError, TheParsersOwnWordsAreLeftWhereTheyNameTheFault) {
  EXPECT_EQ(told({"bench", "ab"}), "");               // FILE is required
  EXPECT_EQ(told({"gateway", "--worker-urls"}), "");  // its value is missing
  EXPECT_EQ(told({"gateway", "--help"}), "");
  EXPECT_EQ(told({"gateway"}), "fine");
}

// Of a program whose flags also come from variables of the environment.
class VariableError : public testing::Test {
 protected:
  VariableError() {
    manager_->add_option("--ttl", ttl_)->envname("KVASIR_TEST_TTL");
    manager_->add_option("--ttl-check", ttl_);
  }
  ~VariableError() override { unsetenv("KVASIR_TEST_TTL"); }

  std::string told(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), {"kvasir", "manager"});
    try {
      app_.parse(static_cast<int>(arguments.size()), arguments.data());
    } catch (const CLI::ParseError& error) {
      return variable_error(app_, error);
    }
    return "fine";
  }

  CLI::App app_{"", "kvasir"};
  CLI::App* const manager_ = app_.add_subcommand("manager");
  int ttl_ = 0;
};

TEST_F(VariableError, AVariableIsNamedWhereItsValueIsWrong) {
  setenv("KVASIR_TEST_TTL", "soon", 1);
  EXPECT_THAT(told({}), StartsWith("kvasir manager: "));
  EXPECT_THAT(told({}), AllOf(HasSubstr("KVASIR_TEST_TTL (--ttl)"), HasSubstr("soon")));
  EXPECT_EQ(with_variables(*manager_, "--ttl: too long"), "KVASIR_TEST_TTL (--ttl): too long");
  EXPECT_EQ(with_variables(*manager_, "--ttl-check: too long"), "--ttl-check: too long");
}

TEST_F(VariableError, AFlagOfTheCommandLineIsNamedAsItWasGiven) {
  setenv("KVASIR_TEST_TTL", "5", 1);
  EXPECT_EQ(told({"--ttl", "soon"}), "");
  EXPECT_EQ(told({"--ttl", "7"}), "fine");
  EXPECT_EQ(ttl_, 7);
  EXPECT_EQ(with_variables(*manager_, "--ttl: too long"), "--ttl: too long");
  unsetenv("KVASIR_TEST_TTL");
  EXPECT_EQ(told({"--ttl", "soon"}), "");
}

}  // namespace
}  // namespace kvasir
