#include "wire/request/grpc_request.h"

#include <gtest/gtest.h>

#include <protozero/pbf_writer.hpp>
#include <string>
#include <vector>

namespace kvasir {
namespace {

using protozero::pbf_writer;

std::string frame(std::string_view message) {
  std::string body(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    body.push_back(static_cast<char>(message.size() >> shift & 0xff));
  }
  return body.append(message);
}

std::string ids_of(const std::vector<uint32_t>& ids, bool packed = true) {
  std::string message;
  pbf_writer writer(message);
  writer.add_string(1, "the text they came from");
  if (packed) {
    writer.add_packed_uint32(2, ids.begin(), ids.end());
  } else {
    for (const uint32_t id : ids) writer.add_uint32(2, id);
  }
  return message;
}

std::string generate_of(const std::string& tokenized) {
  std::string message, sampling;
  pbf_writer(sampling).add_uint32(8, 77);
  pbf_writer writer(message);
  writer.add_string(1, "request-1");
  writer.add_message(2, tokenized);
  writer.add_message(4, sampling);
  writer.add_bool(5, true);
  return message;
}

std::string vertex_ai(std::string_view json) {
  std::string http_body, message;
  pbf_writer inner(http_body);
  inner.add_string(1, "application/json");
  inner.add_bytes(2, json.data(), json.size());
  pbf_writer writer(message);
  writer.add_string(1, "projects/p/endpoints/e");
  writer.add_message(2, http_body);
  return message;
}

TEST(GrpcRequest, GenerateOfATextHasItAsItStands) {
  std::string message;
  pbf_writer writer(message);
  writer.add_string(3, "a \"quoted\\\" prompt");
  const std::string body = frame(message);
  const auto peek = read_grpc_request(body, RequestApi::kVllmGrpcGenerate);
  ASSERT_TRUE(peek) << peek.error().message;
  EXPECT_EQ(peek->kind, PromptKind::kRawText);
  EXPECT_EQ(peek->prompt, "a \"quoted\\\" prompt");
  EXPECT_FALSE(peek->prompt_ids);
  EXPECT_FALSE(peek->output_tokens_max);
  EXPECT_FALSE(peek->stream);
  EXPECT_EQ(peek->model, "");
}

TEST(GrpcRequest, TokenIdsAreCountedPackedOrNot) {
  const std::vector<uint32_t> ids = {1, 127, 128, 151'643, 4'294'967'295};
  for (const bool packed : {true, false}) {
    const std::string body = frame(generate_of(ids_of(ids, packed)));
    const auto peek = read_grpc_request(body, RequestApi::kVllmGrpcGenerate);
    ASSERT_TRUE(peek) << peek.error().message;
    EXPECT_EQ(peek->prompt_ids, 5u);
    EXPECT_EQ(peek->output_tokens_max, 77u);
    EXPECT_TRUE(peek->stream);
    EXPECT_EQ(peek->kind, PromptKind::kRawIds);
    EXPECT_FALSE(peek->prompt.empty());
  }
}

TEST(GrpcRequest, PromptsThatBeginAlikeHaveTheSameBytes) {
  const std::string one = frame(generate_of(ids_of({5, 600, 70'000, 8})));
  const std::string other = frame(generate_of(ids_of({5, 600, 70'000, 9, 10})));
  const auto first = read_grpc_request(one, RequestApi::kVllmGrpcGenerate);
  const auto second = read_grpc_request(other, RequestApi::kVllmGrpcGenerate);
  ASSERT_TRUE(first && second);
  const size_t common = 1 + 2 + 3;
  EXPECT_EQ(first->prompt.substr(0, common), second->prompt.substr(0, common));
  EXPECT_EQ(first->prompt.size(), common + 1);
}

TEST(GrpcRequest, EmbedHasTokenIds) {
  std::string message;
  pbf_writer writer(message);
  writer.add_string(1, "request-1");
  writer.add_message(2, ids_of({1, 2, 3}));
  const auto peek = read_grpc_request(frame(message), RequestApi::kVllmGrpcEmbed);
  ASSERT_TRUE(peek) << peek.error().message;
  EXPECT_EQ(peek->prompt_ids, 3u);
}

TEST(GrpcRequest, VertexAiCarriesJson) {
  const std::string chat = frame(
      vertex_ai(R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true})"));
  const auto peek = read_grpc_request(chat, RequestApi::kVertexAiChat);
  ASSERT_TRUE(peek) << peek.error().message;
  EXPECT_EQ(peek->model, "m");
  EXPECT_EQ(peek->kind, PromptKind::kMessages);
  EXPECT_TRUE(peek->stream);
  const std::string raw = frame(vertex_ai(R"({"model":"m","input":"some words"})"));
  const auto response = read_grpc_request(raw, RequestApi::kVertexAiResponses);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->prompt, "some words");
}

TEST(GrpcRequest, WhatIsNoSuchRequestIsRefused) {
  std::string compressed = frame("");
  compressed[0] = 1;
  std::string cut = frame(generate_of(ids_of({1, 2, 3})));
  cut.pop_back();
  std::string not_utf8;
  pbf_writer(not_utf8).add_string(3, "\xff");
  std::string bad_length = generate_of(ids_of({1}));
  bad_length.resize(bad_length.size() - 3);
  const struct {
    std::string body;
    RequestApi api;
    std::string_view why;
  } cases[] = {
      {"", RequestApi::kVllmGrpcGenerate, "the gRPC body is shorter than its frame"},
      {compressed, RequestApi::kVllmGrpcGenerate, "compressed gRPC messages are not read"},
      {cut, RequestApi::kVllmGrpcGenerate, "the gRPC message is cut short"},
      {frame(""), RequestApi::kVllmGrpcGenerate, "the gRPC request holds no prompt"},
      {frame(""), RequestApi::kVllmGrpcEmbed, "the gRPC request holds no prompt"},
      {frame("{\"model\":1}"), RequestApi::kVllmGrpcGenerate,
       "the gRPC message is not what its path says"},
      {frame(bad_length), RequestApi::kVllmGrpcGenerate,
       "the gRPC message is not what its path says"},
      {frame(not_utf8), RequestApi::kVllmGrpcGenerate, "the text of the gRPC request is not UTF-8"},
      {frame(""), RequestApi::kVertexAiChat, "the gRPC request has no http_body"},
      {frame(vertex_ai("")), RequestApi::kVertexAiChat,
       "error unmarshaling request bodyMap: the body is empty"},
  };
  for (const auto& one : cases) {
    const auto peek = read_grpc_request(one.body, one.api);
    ASSERT_FALSE(peek) << one.why;
    EXPECT_EQ(peek.error().message, one.why);
  }
}

}  // namespace
}  // namespace kvasir
