#include "wire/kv_transfer/p2p_messages.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::string_literals::operator""s;

TEST(P2pMessages, CommandsReadBackAsTheyWereWritten) {
  using Kind = P2pCommand::Kind;
  P2pCommand command;
  command.unique_id = kP2pUniqueId;
  command.fingerprint = ~0ULL;
  command.tensor_id = "cmpl-1#blocks.0-3";
  command.number = 70'000;
  command.last_block = 0x8000000000000000;
  command.blocks = 4, command.layers = 2, command.values = 100'000;
  command.dtype = kP2pDtype;
  for (const Kind kind : {Kind::kNew, Kind::kPut, Kind::kGet, Kind::kDrop}) {
    command.kind = kind;
    const std::string bytes = write_p2p_command(command);
    const auto read = read_p2p_command(bytes);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(write_p2p_command(*read), bytes);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(read_p2p_command(bytes.substr(0, size)));
    }
    EXPECT_FALSE(read_p2p_command(bytes + "x"));
  }
}

// As vLLM's engines write them (msgpack.dumps).
TEST(P2pMessages, WhatVllmSaysIsUnderstoodAsFarAsItGoes) {
  EXPECT_TRUE(
      read_p2p_command("\x82\xa3"
                       "cmd\xa4"
                       "DROP\xa9tensor_id\xa3"
                       "a#b"));
  EXPECT_FALSE(
      read_p2p_command("\x82\xa3"
                       "cmd\xa3GET\xa9tensor_id\xa3"
                       "a#b"));
  const auto put = read_p2p_command(
      "\x84\xa3"
      "cmd\xa3PUT\xa9tensor_id\xa3"
      "a#b\xa5shape\x93\1\2\3"
      "\xa5"
      "dtype\xa7"
      "float16");
  ASSERT_FALSE(put);
  EXPECT_NE(put.error().message.find("NCCL"), std::string::npos);
  EXPECT_FALSE(
      read_p2p_command("\x82\xa3"
                       "cmd\xa3NEW\xa9unique_id\xc4\1x"s));
}

TEST(P2pMessages, WhatIsNoCommandIsRefused) {
  for (const std::string& message : {""s, "0"s, "\x80"s, "\x90"s, "\xc0"s,
                                     "\x81\xa3"
                                     "cmd\xa3XYZ"s,
                                     "\x81\xa3"
                                     "cmd\1"s,
                                     "\x81\1\xa3GET"s,
                                     "\x82\xa3"
                                     "cmd\xa3GET\xa9tensor_id\1"s,
                                     "\xdf\xff\xff\xff\xff"s,
                                     "\x82\xa3"
                                     "cmd\xa3GET\xa9tensor_id"s +
                                         std::string(5000, '\xc0'),
                                     "\x81\xa1x" + std::string(3000, '\x91')}) {
    EXPECT_FALSE(read_p2p_command(message)) << testing::PrintToString(message.substr(0, 40));
  }
}

TEST(P2pMessages, RepliesReadBackAsTheyWereWritten) {
  const P2pReply reply{P2pReply::kDone, 65535, std::string(16, '\0')};
  const auto read = read_p2p_reply(write_p2p_reply(reply));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ret, 0u);
  EXPECT_EQ(read->port, 65535u);
  EXPECT_EQ(read->token, reply.token);
  EXPECT_EQ(read_p2p_reply("\x81\xa3ret\1")->ret, 1u);  // vLLM's
  for (const std::string& message : {""s, "0"s, "\x80"s, "\x81\xa3ret\xff"s, "\x81\xa3ret\xa1x"s}) {
    EXPECT_FALSE(read_p2p_reply(message));
  }
}

TEST(P2pMessages, TensorIdsNameARequestAndBlocks) {
  const std::string id = p2p_tensor_id("___a#b", 4, 3);
  EXPECT_EQ(id, "___a#b#blocks.4-6");
  const auto read = read_p2p_tensor_id(id);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request, "___a#b");
  EXPECT_EQ(read->first, 4u);
  EXPECT_EQ(read->count, 3u);
  for (const std::string_view wrong :
       {"", "a", "a#model.layers.0", "#blocks.0-1", "a#blocks.", "a#blocks.1", "a#blocks.1-",
        "a#blocks.2-1", "a#blocks.-1-1", "a#blocks.0-4294967295", "a#blocks.0-99999999999"}) {
    EXPECT_FALSE(read_p2p_tensor_id(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace kvasir
