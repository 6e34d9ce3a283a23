#include "apps/kv_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "serving/pool_options.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Listen = KvKnowledgeOptions::Listen;

Result<KvKnowledgeOptions> options_of(std::vector<std::string> arguments) {
  CLI::App app;
  KvKnowledgeFlags flags;
  add_kv_flags(app, flags, "workers");
  std::reverse(arguments.begin(), arguments.end());
  app.parse(std::move(arguments));
  return kv_options(flags);
}

WantedKnowledge wanted() {
  WantedKnowledge wanted;
  wanted.caches = WantedCaches{true, 6000, 6001, "kv@", ""};
  return wanted;
}

std::string places_of(const std::vector<std::string>& arguments, const WantedKnowledge& wanted) {
  const std::optional<KvPlaces> places = kv_places(options_of(arguments).value(), wanted);
  if (!places) return "nowhere";
  const KvEventAddresses& at = places->addresses;
  return at.events + " " + at.replay + " " + at.topic + " " + places->bind;
}

TEST(KvKnowledgeFlags, SayWhereToListen) {
  EXPECT_EQ(places_of({}, {}), "nowhere");
  EXPECT_EQ(places_of({}, wanted()), "tcp://HOST:6000 tcp://HOST:6001 kv@ ");
  EXPECT_EQ(places_of({"--kv-events", "off"}, wanted()), "nowhere");
  EXPECT_EQ(places_of({"--kv-events", "auto"}, {}), "tcp://HOST:5557 tcp://HOST:5558  ");
  EXPECT_EQ(places_of({"--kv-events", "auto"}, wanted()), "tcp://HOST:5557 tcp://HOST:5558  ")
      << "whatever the configuration says";
  EXPECT_EQ(places_of({"--kv-events", "auto", "--kv-replay", "off"}, {}), "tcp://HOST:5557   ");
  EXPECT_EQ(places_of({"--kv-events", "tcp://HOST:1PORT"}, {}), "tcp://HOST:1PORT   ");
  EXPECT_EQ(places_of({"--kv-events", "ipc:///run/kv-PORT", "--kv-replay", "ipc:///run/r-PORT",
                       "--kv-topic", "kv@"},
                      {}),
            "ipc:///run/kv-PORT ipc:///run/r-PORT kv@ ");
  EXPECT_EQ(places_of({"--kv-replay", "tcp://HOST:7"}, wanted()),
            "tcp://HOST:6000 tcp://HOST:7 kv@ ");
  EXPECT_EQ(places_of({"--kv-replay", "off"}, wanted()), "tcp://HOST:6000  kv@ ");
  EXPECT_EQ(places_of({"--kv-bind", "tcp://*:5555"}, {}), "   tcp://*:5555");
  EXPECT_EQ(options_of({"--kv-events", "auto", "--kv-ranks", "4", "--kv-replay", "tcp://HOST:5657"})
                ->addresses.ranks,
            4u);
  EXPECT_TRUE(options_of({"--kv-events", "auto", "--kv-ranks", "4", "--kv-replay", "off"}));
  EXPECT_EQ(options_of({"--kv-index-memory", "512MiB"})->index_bytes_max, size_t{512} << 20);
  EXPECT_EQ(options_of({})->index_bytes_max, size_t{1} << 30);
}

TEST(KvKnowledgeFlags, SayWhatBecomesOfLostEvents) {
  EXPECT_EQ(options_of({})->gap, KvGapPolicy::kStale);
  EXPECT_EQ(options_of({"--kv-gap", "stale"})->gap, KvGapPolicy::kStale);
  EXPECT_EQ(options_of({"--kv-gap", "forget"})->gap, KvGapPolicy::kForget);
  EXPECT_THROW(options_of({"--kv-gap", "maybe"}), CLI::ValidationError);
}

TEST(KvKnowledgeFlags, ThoseWithoutEffectAreNamed) {
  EXPECT_EQ(unused_kv_flags({}), "");
  KvKnowledgeFlags flags;
  flags.events = "off";
  flags.tokenizer = "tokenizer.json";  // prompts' tokens have other uses
  EXPECT_EQ(unused_kv_flags(flags), "");
  flags.topic = "kv@";
  EXPECT_THAT(unused_kv_flags(flags), StartsWith("--kv-topic: no effect"));
  flags.replay = "off";
  flags.ranks = 2;
  flags.gap = "forget";
  flags.index_bytes = 1;
  EXPECT_THAT(
      unused_kv_flags(flags),
      StartsWith("--kv-replay, --kv-topic, --kv-ranks, --kv-gap, --kv-index-memory: no effect"));
}

TEST(KvKnowledgeFlags, WrongOnesAreNamed) {
  const auto error = [](const std::vector<std::string>& arguments) {
    const auto options = options_of(arguments);
    return options ? std::string() : options.error().message;
  };
  EXPECT_THAT(error({"--kv-events", "on"}), HasSubstr("--kv-events: 'on' is not an address"));
  EXPECT_THAT(error({"--kv-events", "http://HOST:1"}), HasSubstr("--kv-events"));
  EXPECT_THAT(error({"--kv-events", "tcp://"}), HasSubstr("--kv-events"));
  EXPECT_THAT(error({"--kv-replay", "5558"}), HasSubstr("--kv-replay"));
  EXPECT_THAT(error({"--kv-bind", "*:5555"}), HasSubstr("--kv-bind"));
  EXPECT_THAT(error({"--kv-events", "tcp://HOST:1", "--kv-replay", "tcp://HOST:1"}),
              HasSubstr("--kv-replay: 'tcp://HOST:1' is where events come from"));
  EXPECT_THAT(error({"--kv-events", "auto", "--kv-replay", "tcp://HOST:5557"}),
              HasSubstr("--kv-replay: 'tcp://HOST:5557' is where events come from"));
  EXPECT_THAT(error({"--kv-events", "auto", "--kv-ranks", "2"}),
              AllOf(StartsWith("--kv-ranks: with 2 ranks the ports of replays, 5558 to 5559"),
                    HasSubstr("(--kv-replay)")));
  EXPECT_THAT(error({"--kv-events", "off", "--kv-bind", "tcp://*:1"}), HasSubstr("--kv-bind"));
  for (const char* flag : {"--kv-events", "--kv-replay", "--kv-bind"}) {
    EXPECT_THAT(error({flag, "tcp://host:99999"}),
                AllOf(StartsWith(std::string(flag) + ": 'tcp://host:99999'"),
                      HasSubstr("from 1 to 65535")));
  }
  EXPECT_THAT(error({"--kv-index-memory", "1KiB"}), HasSubstr("--kv-index-memory"));
}

TEST(KvKnowledgeFlags, SayWhereTokensComeFrom) {
  PoolOptions options;
  ASSERT_TRUE(read_kv_flags({}, options));
  EXPECT_EQ(options.tokens.ask, TokenSourceOptions::Ask::kEither);
  EXPECT_EQ(options.tokenizers, nullptr);
  KvKnowledgeFlags flags;
  flags.engine_tokens = false;
  ASSERT_TRUE(read_kv_flags(flags, options));
  EXPECT_EQ(options.tokens.ask, TokenSourceOptions::Ask::kNobody);
  flags.tokenizer = "/nonexistent/tokenizer.json";
  const Result<void> read = read_kv_flags(flags, options);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("--tokenizer: "));
}

}  // namespace
}  // namespace kvasir
