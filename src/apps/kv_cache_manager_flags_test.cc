#include "apps/kv_cache_manager_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::string refusal(const KvCacheManagerFlags& flags) {
  const auto settings = kv_cache_manager_settings(flags);
  return settings ? "" : settings.error().message;
}

TEST(KvCacheManagerFlagsTest, APortThatThereIsNotIsRefused) {
  KvCacheManagerFlags flags;
  flags.bind = "tcp://*:99999";
  EXPECT_THAT(refusal(flags), StartsWith("--bind: 'tcp://*:99999': its port"));
  flags.bind.clear();
  for (const char* pod : {"a=tcp://host:99999", "a=tcp://host:1,replay=tcp://host:99999",
                          "a=tcp://host:65535,ranks=2"}) {
    flags.subscribe = {pod};
    EXPECT_THAT(refusal(flags), StartsWith("--subscribe: 'tcp://host:")) << pod;
    EXPECT_THAT(refusal(flags), HasSubstr("from 1 to 65535")) << pod;
  }
  flags.subscribe = {"a=tcp://host:65534,ranks=2", "b=ipc:///run/b,replay=ipc:///run/b-replay"};
  EXPECT_EQ(refusal(flags), "");
}

TEST(KvCacheManagerFlagsTest, AnAddressThatCannotBeSubscribedToIsRefused) {
  const std::pair<std::string, const char*> cases[] = {
      {"a=tcp://HOST:5557", "HOST and PORT stand for nothing here"},
      {"a=tcp://host:1,replay=tcp://host:1PORT", "HOST and PORT stand for nothing here"},
      {"a=tcp://host:1,topic=x,topic=y", "topic appears twice"},
      {"a=tcp://host:1,replay=tcp://host:1", "replay is where events come from"},
      {"a=tcp://host:1,replay=tcp://host:2,ranks=2", "the ports of replays, 2 to 3, overlap"},
      {"a=tcp://*:5557", "the name or address of its host is wanted"},
      {"a=ipc:///" + std::string(200, 'p'), "more than 107 bytes"}};
  for (const auto& [pod, why] : cases) {
    KvCacheManagerFlags flags;
    flags.subscribe = {pod};
    EXPECT_THAT(refusal(flags), StartsWith("--subscribe: '")) << pod;
    EXPECT_THAT(refusal(flags), HasSubstr(why)) << pod;
  }
}

TEST(KvCacheManagerFlagsTest, FlagsWithoutEffectAreNamed) {
  KvCacheManagerFlags flags;
  EXPECT_THAT(unused_manager_flags(flags), IsEmpty());
  flags.snapshot_interval_s = 5;
  flags.peer_interval_s = 5;
  flags.index_cleanup_interval_s = 5;
  EXPECT_THAT(unused_manager_flags(flags),
              ElementsAre(StartsWith("--snapshot-interval: "), StartsWith("--peer-interval: "),
                          StartsWith("--index-cleanup-interval: ")));
  flags.snapshot = "file";
  flags.peers = {"http://host:1"};
  flags.index_max_blocks = 7;
  EXPECT_THAT(unused_manager_flags(flags), IsEmpty());
}

}  // namespace
}  // namespace kvasir
