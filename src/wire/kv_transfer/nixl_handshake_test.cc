#include "wire/kv_transfer/nixl_handshake.h"

#include <gtest/gtest.h>

#include "wire/msgpack/msgpack_writer.h"

namespace kvasir {
namespace {

using std::literals::operator""s;

NixlHandshake some_handshake() {
  return {std::string(64, 'a'), NixlAgent{"engine-1", "Qwen/Qwen3-32B", "1", 40'001, 4'096, 4'096,
                                          16, 4, 30'000, "/kvasir-1", "machine-1"}};
}

// What vLLM sends: tuples of bytes and numbers.
TEST(NixlHandshakeTest, BothFormsOfTheQuestionAreRead) {
  const Result<NixlQuestion> old = read_nixl_question("\x92\xc4\x0cget_meta_msg\x02"s);
  ASSERT_TRUE(old.ok()) << old.error().message;
  EXPECT_EQ(old->tensor_rank, 2u);
  EXPECT_EQ(old->pipeline_rank, 0u);
  const Result<NixlQuestion> current = read_nixl_question("\x93\xc4\x0cget_meta_msg\x01\x02"s);
  ASSERT_TRUE(current.ok()) << current.error().message;
  EXPECT_EQ(current->pipeline_rank, 1u);
  EXPECT_EQ(current->tensor_rank, 2u);
  EXPECT_EQ(write_nixl_question({1, 2}), "\x93\xc4\x0cget_meta_msg\x01\x02"s);
}

TEST(NixlHandshakeTest, WhatIsNoQuestionIsSaid) {
  const std::string wrong[] = {"",
                               "get_meta_msg",
                               "\x91\xc4\x0cget_meta_msg"s,
                               "\x92\xc4\x0cget_meta_msq\x00"s,
                               "\x92\xc4\x0cget_meta_msg\xff"s,
                               "\x93\xc4\x0cget_meta_msg\x01"s,
                               "\x92\xc4\xffget_meta_msg\x00"s,
                               "\x94\xc4\x0cget_meta_msg\x01\x02\x03"s};
  for (const std::string& question : wrong) {
    EXPECT_FALSE(read_nixl_question(question).ok()) << question;
  }
}

TEST(NixlHandshakeTest, AnAnswerIsReadAsItWasWritten) {
  const NixlHandshake sent = some_handshake();
  const Result<NixlHandshake> read = read_nixl_handshake(write_nixl_handshake(sent));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->compatibility_hash, sent.compatibility_hash);
  EXPECT_EQ(read->agent, sent.agent);
}

// vLLM's NixlAgentMetadata has an engine_id, too, and no member of a simulated worker.
TEST(NixlHandshakeTest, ARealEnginesAgentIsAnotherOne) {
  std::string agent;
  append_msgpack_map(agent, 4);
  append_msgpack_text(agent, "engine_id");
  append_msgpack_text(agent, "0b51f3c2-64a7-4f0e-b6a4-b7a2f3cbd7a6");
  append_msgpack_text(agent, "agent_metadata");
  append_msgpack_bytes(agent, "nixlSerDes|...");
  append_msgpack_text(agent, "kv_caches_base_addr");
  append_msgpack_array(agent, 1);
  append_msgpack_number(agent, 139'637'976'727'552);
  append_msgpack_text(agent, "num_blocks");
  append_msgpack_number(agent, 2'048);
  std::string answer;
  append_msgpack_map(answer, 2);
  append_msgpack_text(answer, "compatibility_hash");
  append_msgpack_text(answer, std::string(64, 'b'));
  append_msgpack_text(answer, "agent_metadata_bytes");
  append_msgpack_bytes(answer, agent);
  const Result<NixlHandshake> read = read_nixl_handshake(answer);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->compatibility_hash, std::string(64, 'b'));
  EXPECT_FALSE(read->agent.has_value());
}

TEST(NixlHandshakeTest, WhatIsNoAnswerIsSaid) {
  const std::string whole = write_nixl_handshake(some_handshake());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_nixl_handshake(whole.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(read_nixl_handshake("\x80").ok());
  EXPECT_FALSE(read_nixl_handshake("\x81\xb2"
                                   "compatibility_hash\x01")
                   .ok());
}

TEST(NixlHandshakeTest, AnAgentWithAPortThatIsNoneIsNoWorkers) {
  NixlHandshake sent = some_handshake();
  sent.agent->data_port = 0;
  const Result<NixlHandshake> read = read_nixl_handshake(write_nixl_handshake(sent));
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->agent.has_value());
}

}  // namespace
}  // namespace kvasir
