#include "apps/epp_upstream_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <sstream>

#include "apps/epp_flags.h"
#include "apps/upstream_flags_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What `kvasir epp` understands of a command line.
struct Understood {
  explicit Understood(const std::string& line) {
    CLI::App app;
    add_epp_flags(app, flags);
    upstream = UpstreamFlags::add_to(app, epp_upstream_flags());
    try {
      app.parse(line, false);
    } catch (const CLI::ParseError& error) {
      refusal = error.what();
      return;
    }
    if (const Result<void> checked = upstream->check(); !checked) {
      refusal = checked.error().message;
    }
  }

  EppFlags flags;
  std::shared_ptr<UpstreamFlags> upstream;
  std::string refusal;
};

std::string refusal_of(const std::string& line) {
  return Understood(line).refusal;
}

// A value that upstream takes.
std::string value_for(std::string_view flag) {
  if (flag.ends_with("-port") || flag == "-v" || flag == "--endpoint-target-ports") return "7";
  if (flag.ends_with("-interval") || flag.ends_with("-timeout") || flag.ends_with("-threshold")) {
    return "3s";
  }
  if (flag.ends_with("-msg-size")) return "10MiB";
  return "text";
}

TEST(UpstreamFlags, EveryOneOfUpstreamsIsTakenRefusedOrWarnedOfAsTheTableSays) {
  for (const UpstreamFlag& flag : epp_upstream_flags()) {
    const std::string name(flag.name);
    const bool is_switch = flag.is_switch || name == "--zap-devel" || name == "--secure-serving" ||
                           name == "--enable-cert-reload" || name.starts_with("--disable-") ||
                           name.starts_with("--emit-") || name.starts_with("--allow-") ||
                           name == "--enable-grpc-stream-metrics";
    std::vector<std::string> lines = {name + "=" + value_for(name), name + " " + value_for(name)};
    if (is_switch) lines = {name, name + "=true", name + "=True", name + "=1"};
    for (const std::string& line : lines) {
      const Understood understood(line);
      const std::string warning = understood.upstream->warning();
      switch (flag.effect) {
        case FlagEffect::kHonoured:
          EXPECT_EQ(understood.refusal, "") << line;
          EXPECT_EQ(warning, "") << line;
          break;
        case FlagEffect::kWithoutEffect:
          EXPECT_EQ(understood.refusal, "") << line;
          if (flag.harmless == "true") continue;
          EXPECT_THAT(warning, HasSubstr(name)) << line;
          break;
        case FlagEffect::kRefused:
          EXPECT_THAT(understood.refusal, HasSubstr(name)) << line;
          EXPECT_THAT(understood.refusal, HasSubstr(std::string(flag.text))) << line;
          break;
      }
    }
    if (!is_switch) continue;
    for (const char* no : {"=false", "=False", "=0"}) {
      EXPECT_EQ(refusal_of(name + no), "") << name << no;
    }
  }
}

TEST(UpstreamFlags, ASwitchIsTrueAloneAndWhatIsWrittenOtherwise) {
  const auto secure = [](const std::string& line) { return Understood(line).flags.secure_serving; };
  EXPECT_TRUE(secure(""));
  EXPECT_TRUE(secure("--secure-serving"));
  EXPECT_TRUE(secure("--secure-serving --enable-cert-reload"));
  EXPECT_TRUE(secure("--secure-serving=true"));
  EXPECT_FALSE(secure("--secure-serving=false"));
  EXPECT_FALSE(secure("--secure-serving=F"));
  EXPECT_FALSE(secure("--secure-serving false"));
  EXPECT_NE(refusal_of("--secure-serving=perhaps"), "");
  EXPECT_THAT(refusal_of("--tracing=perhaps"), HasSubstr("neither true nor false"));
}

TEST(UpstreamFlags, WhatHappensAnywayIsNotWarnedOf) {
  for (const char* line : {"", "--tracing=false", "--metrics-endpoint-auth=0", "--health-checking",
                           "--ha-enable-leader-election=false", "--enable-pprof=false",
                           "--zap-time-encoding iso8601", "--model-server-metrics-scheme http",
                           "--kv-cache-usage-percentage-metric vllm:kv_cache_usage_perc",
                           "--model-server-metrics-port 0 --model-server-metrics-path=/metrics"}) {
    const Understood understood(line);
    EXPECT_EQ(understood.refusal, "") << line;
    EXPECT_EQ(understood.upstream->warning(), "") << line;
  }
}

TEST(UpstreamFlags, WhatIsTakenWithoutEffectIsSaidInOneWarning) {
  const std::string warning =
      Understood("--grpc-max-send-msg-size 1Mi --tracing --enable-pprof").upstream->warning();
  EXPECT_THAT(warning, HasSubstr("taken without effect: --grpc-max-send-msg-size ("));
  EXPECT_THAT(warning, HasSubstr("; --tracing ("));
  EXPECT_THAT(warning, HasSubstr("perf works"));
  EXPECT_EQ(warning.find('\n'), std::string::npos);
}

TEST(UpstreamFlags, LongestMessagesAreWrittenAsUpstreamWritesThem) {
  const auto bytes = [](const std::string& text) -> size_t {
    EppFlags flags;
    flags.endpoints = {"10.0.0.1:1"};
    flags.message_bytes_max = text;
    const Result<EppOptions> options = epp_options(flags);
    return options ? options->grpc.message_bytes : 0;
  };
  const size_t usual = GrpcServerLimits().message_bytes;
  EXPECT_EQ(bytes("10MiB"), 10u * 1024 * 1024);
  EXPECT_EQ(bytes("25MB"), 25'000'000u);
  EXPECT_EQ(bytes("1Gi"), 1u << 30);
  EXPECT_EQ(bytes("0"), usual);
  EXPECT_EQ(bytes(""), usual);
  for (const char* wrong : {"2Gi", "-1", "x", "10 MiB", "99999999999999999999"}) {
    EXPECT_EQ(bytes(wrong), 0u) << wrong;
  }
}

TEST(LogFlags, LevelAndEncodingAreUpstreams) {
  const struct {
    const char* line;
    LogLevel level;
    LogEncoding encoding = LogEncoding::kText;
  } cases[] = {
      {"", LogLevel::kInfo},
      {"-v 4", LogLevel::kDebug},
      {"-v=4", LogLevel::kDebug},
      {"-v4", LogLevel::kDebug},
      {"--v=2", LogLevel::kInfo},
      {"--v 5", LogLevel::kDebug},
      {"-v 5 --zap-log-level=info", LogLevel::kInfo},
      {"--zap-log-level error", LogLevel::kError},
      {"--zap-log-level=PANIC", LogLevel::kError},
      {"--zap-log-level=debug", LogLevel::kDebug},
      {"--zap-log-level=1", LogLevel::kInfo},
      {"--zap-log-level=5", LogLevel::kDebug},
      {"--zap-encoder json", LogLevel::kInfo, LogEncoding::kJson},
      {"--zap-encoder=console --zap-devel=false", LogLevel::kInfo},
      {"--zap-devel=false", LogLevel::kInfo, LogEncoding::kJson},
      {"--zap-devel", LogLevel::kInfo},
  };
  for (const auto& each : cases) {
    const Understood understood(each.line);
    EXPECT_EQ(understood.refusal, "") << each.line;
    const Result<LogSettings> settings = log_settings(understood.flags.log);
    ASSERT_TRUE(settings) << each.line;
    EXPECT_EQ(settings->level, each.level) << each.line;
    EXPECT_EQ(settings->encoding, each.encoding) << each.line;
  }
  for (const char* line :
       {"-v much", "--zap-log-level=0", "--zap-log-level loud", "--zap-encoder xml"}) {
    const Understood understood(line);
    EXPECT_FALSE(log_settings(understood.flags.log)) << line;
  }
}

TEST(LogFlags, ALevelHasANameInAnyCase) {
  EXPECT_EQ(log_level_named("debug"), LogLevel::kDebug);
  EXPECT_EQ(log_level_named("INFO"), LogLevel::kInfo);
  EXPECT_EQ(log_level_named("warning"), LogLevel::kWarning);
  EXPECT_EQ(log_level_named("Warn"), LogLevel::kWarning);
  EXPECT_EQ(log_level_named("error"), LogLevel::kError);
  EXPECT_EQ(log_level_named(""), std::nullopt);
  EXPECT_EQ(log_level_named("loud"), std::nullopt);
}

// A collector that reads JSON lines finds nothing else in the log.
TEST(LogFlags, DecisionsAreWrittenAsTheOtherLinesUnlessTheirFlagSaysOtherwise) {
  const struct {
    const char* line;
    std::optional<LogFormat> format;
  } cases[] = {
      {"", LogFormat::kText},
      {"--zap-encoder json", LogFormat::kJson},
      {"--zap-devel=false", LogFormat::kJson},
      {"--zap-encoder console --zap-devel=false", LogFormat::kText},
      {"--zap-encoder json --decision-log text", LogFormat::kText},
      {"--decision-log json", LogFormat::kJson},
      {"--zap-encoder json --decision-log off", std::nullopt},
  };
  for (const auto& each : cases) {
    const Understood understood(each.line);
    EXPECT_EQ(understood.refusal, "") << each.line;
    const Result<LogSettings> settings = log_settings(understood.flags.log);
    ASSERT_TRUE(settings) << each.line;
    EXPECT_EQ(decision_log_format(understood.flags.decision_log, settings->encoding), each.format)
        << each.line;
  }
}

// docs/EPP.md has a row for each flag, and for no other.
TEST(UpstreamFlags, TheTableInTheDocumentationIsThisOne) {
  const std::optional<std::string> found = documented_flags("EPP.md");
  if (!found) GTEST_SKIP() << "KVASIR_SOURCE_DIR is not set: run it with ctest";
  EXPECT_EQ(*found, rows_of_flags(epp_upstream_flags()));
}

}  // namespace
}  // namespace kvasir
