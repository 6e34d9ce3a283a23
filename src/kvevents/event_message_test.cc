#include "kvevents/event_message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvasir {
namespace {

using Frames = std::vector<std::string_view>;

const std::string kSeven("\0\0\0\0\0\0\0\x07", 8);
const std::string kEnd(8, '\xff');

TEST(EventMessage, TheLastTwoFramesAreNumberAndBatch) {
  for (const Frames& frames : {Frames{"kv@a@m", kSeven, "\x93"}, Frames{kSeven, "\x93"},
                               Frames{"kv@a@m", "more", kSeven, "\x93"}}) {
    const auto message = read_event_message(frames);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->number, 7u);
    EXPECT_EQ(message->batch, "\x93");
    EXPECT_FALSE(message->json);
    EXPECT_EQ(message->topic, frames.size() > 2 ? "kv@a@m" : "");
  }
}

TEST(EventMessage, JsonNeedsNoNumber) {
  for (const Frames& frames :
       {Frames{"{}"}, Frames{"t", "[{}]"}, Frames{"t", kSeven, " \n{}"}, Frames{"t", "x", "{}"}}) {
    const auto message = read_event_message(frames);
    ASSERT_TRUE(message.ok());
    EXPECT_TRUE(message->json);
    EXPECT_EQ(message->topic, frames.size() > 1 ? "t" : "");
  }
}

TEST(EventMessage, WhatIsNoneIsAnError) {
  for (const Frames& frames :
       {Frames{}, Frames{""}, Frames{"\x93"}, Frames{"t", "\x93"}, Frames{"t", "1234567", "\x93"},
        Frames{"t", "123456789", "\x93"}, Frames{"t", kEnd, "\x93"}, Frames{"t", kSeven, ""}}) {
    EXPECT_FALSE(read_event_message(frames).ok());
  }
}

TEST(ReplayMessage, EveryShapeIsRead) {
  for (const Frames& frames :
       {Frames{"", kSeven, "\x93"}, Frames{"", "kv@a@m", kSeven, "\x93"}, Frames{kSeven, "\x93"}}) {
    const auto message = read_replay_message(frames);
    ASSERT_TRUE(message.ok());
    EXPECT_FALSE(message->end);
    EXPECT_EQ(message->number, 7u);
    EXPECT_EQ(message->batch, "\x93");
  }
}

TEST(ReplayMessage, ATopicIsSaidByNewerEnginesOnly) {
  const auto topic_of = [](const Frames& frames) { return read_replay_message(frames)->topic; };
  EXPECT_EQ(topic_of({"", "kv@a@m", kSeven, "\x93"}), "kv@a@m");
  EXPECT_EQ(topic_of({"kv@a@m", kSeven, "\x93"}), "kv@a@m");
  EXPECT_EQ(topic_of({"", "", kSeven, "\x93"}), "") << "it has none, and says so";
  EXPECT_EQ(topic_of({"", kSeven, "\x93"}), std::nullopt);
  EXPECT_EQ(topic_of({kSeven, "\x93"}), std::nullopt);
}

TEST(ReplayMessage, TheEndIsMarkedInSeveralWays) {
  for (const Frames& frames : {Frames{"", kEnd, ""}, Frames{"", "", kEnd, ""}, Frames{"", ""},
                               Frames{"", kSeven, ""}, Frames{"", kEnd, "\x93"}}) {
    const auto message = read_replay_message(frames);
    ASSERT_TRUE(message.ok());
    EXPECT_TRUE(message->end);
  }
}

TEST(ReplayMessage, WhatIsNoneIsAnError) {
  for (const Frames& frames : {Frames{}, Frames{"\x93"}, Frames{"", "1234", "\x93"}}) {
    EXPECT_FALSE(read_replay_message(frames).ok());
  }
}

}  // namespace
}  // namespace kvasir
