// What the gateway's side writes is read by the picker's reader, and the other way round; the
// answers of Google's protobuf (tests/ext_proc/vectors.txt) are read too.
#include "wire/ext_proc/ext_proc_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = ExtProcAnswer::Kind;

std::string vector_named(const std::string& wanted) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/tests/ext_proc/vectors.txt");
  std::string bytes;
  for (std::string name, hex; std::getline(file, name, '\t') && std::getline(file, hex);) {
    if (name != wanted) continue;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
  }
  EXPECT_FALSE(bytes.empty()) << wanted;
  return bytes;
}

TEST(ExtProcClient, RequestsAreReadByThePickersReader) {
  ExtProcContext context;
  context.unknown_fields = true;
  context.subset = std::vector<std::string_view>{"10.0.0.1:8000", "10.0.0.2"};
  context.served_endpoint = "10.0.0.9:1";
  context.protocol = ExtProcProtocol{ExtProcBodyMode::kBuffered, ExtProcBodyMode::kStreamed, true};
  std::string message;
  ExtProcRequest request;
  for (const ExtProcSide side : {ExtProcSide::kRequest, ExtProcSide::kResponse}) {
    const bool response = side == ExtProcSide::kResponse;
    write_headers_request(side, {{":path", "/v1"}, {"a", ""}}, true, context, message);
    ASSERT_TRUE(read_ext_proc_request(message, request).ok());
    EXPECT_EQ(request.kind, response ? ExtProcRequest::Kind::kResponseHeaders
                                     : ExtProcRequest::Kind::kRequestHeaders);
    EXPECT_EQ(request.header(":path"), "/v1");
    EXPECT_TRUE(request.end_of_stream);
    EXPECT_THAT(*request.metadata.subset, ElementsAre("10.0.0.1:8000", "10.0.0.2"));
    EXPECT_EQ(request.metadata.served_endpoint, "10.0.0.9:1");
    EXPECT_EQ(request.protocol->request_body_mode, ExtProcBodyMode::kBuffered);
    EXPECT_EQ(request.protocol->response_body_mode, ExtProcBodyMode::kStreamed);
    EXPECT_TRUE(request.protocol->body_without_waiting_for_header_response);
    write_body_request(side, "bytes", true, {}, message);
    ASSERT_TRUE(read_ext_proc_request(message, request).ok());
    EXPECT_EQ(request.body, "bytes");
    EXPECT_TRUE(request.end_of_stream);
    EXPECT_FALSE(request.metadata.subset || request.protocol);
    write_trailers_request(side, {}, {}, message);
    ASSERT_TRUE(read_ext_proc_request(message, request).ok());
    EXPECT_EQ(request.kind, response ? ExtProcRequest::Kind::kResponseTrailers
                                     : ExtProcRequest::Kind::kRequestTrailers);
  }
}

TEST(ExtProcClient, AnEmptySubsetIsNotAnAbsentOne) {
  ExtProcContext context;
  context.subset.emplace();
  std::string message;
  write_body_request(ExtProcSide::kRequest, "", false, context, message);
  ExtProcRequest request;
  ASSERT_TRUE(read_ext_proc_request(message, request).ok());
  EXPECT_EQ(request.kind, ExtProcRequest::Kind::kRequestBody);
  ASSERT_TRUE(request.metadata.subset);
  EXPECT_THAT(*request.metadata.subset, IsEmpty());
}

TEST(ExtProcClient, AnswersOfTheReferenceAreRead) {
  const std::string headers = vector_named("answer_request_headers");
  const Result<ExtProcAnswer> answer = read_ext_proc_answer(headers);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->kind, Kind::kRequestHeaders);
  EXPECT_TRUE(answer->clear_route_cache && answer->mode_override);
  EXPECT_EQ(answer->set_header("content-length"), "12");
  EXPECT_THAT(answer->removed_headers, ElementsAre("x-secret"));
  ASSERT_EQ(answer->metadata.size(), 1u);
  EXPECT_EQ(answer->metadata[0].space, "envoy.lb");
  EXPECT_EQ(answer->metadata[0].key, "x-gateway-destination-endpoint");
  EXPECT_EQ(answer->metadata[0].value, "10.0.0.1:8000");

  const std::string immediate = vector_named("answer_immediate");
  const Result<ExtProcAnswer> refusal = read_ext_proc_answer(immediate);
  ASSERT_TRUE(refusal.ok());
  EXPECT_EQ(refusal->kind, Kind::kImmediate);
  EXPECT_EQ(refusal->status, 429u);
  EXPECT_EQ(refusal->set_header("x-reason"), "rejected-saturated");
  EXPECT_EQ(refusal->details, "shed");
}

TEST(ExtProcClient, BodiesSayHowTheyChange) {
  struct Case {
    const char* name;
    Kind kind;
    ExtProcAnswer::Body change;
    std::string body;
    bool end;
  };
  const Case cases[] = {
      {"answer_streamed_3", Kind::kRequestBody, ExtProcAnswer::Body::kStreamed, "xxx", true},
      {"answer_body_empty", Kind::kRequestBody, ExtProcAnswer::Body::kUntouched, "", false},
      {"answer_body_replaced", Kind::kResponseBody, ExtProcAnswer::Body::kReplaced, "new", false},
      {"answer_body_cleared", Kind::kResponseBody, ExtProcAnswer::Body::kCleared, "", false},
      {"answer_trailers", Kind::kResponseTrailers, ExtProcAnswer::Body::kUntouched, "", false},
  };
  for (const Case& one : cases) {
    const std::string message = vector_named(one.name);
    const Result<ExtProcAnswer> answer = read_ext_proc_answer(message);
    ASSERT_TRUE(answer.ok()) << one.name;
    EXPECT_EQ(answer->kind, one.kind) << one.name;
    EXPECT_EQ(answer->body_change, one.change) << one.name;
    EXPECT_EQ(answer->body, one.body) << one.name;
    EXPECT_EQ(answer->end_of_stream, one.end) << one.name;
  }
}

TEST(ExtProcClient, WhatIsNotAnAnswerIsAnError) {
  for (const std::string& bytes : {std::string("\x0a\x05x", 3), std::string("\xff\xff"),
                                   std::string("\x08\x01", 2), std::string("not protobuf")}) {
    EXPECT_FALSE(read_ext_proc_answer(bytes).ok()) << bytes;
  }
}

}  // namespace
}  // namespace kvasir
