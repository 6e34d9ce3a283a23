// Our reader and writer against messages that Google's protobuf made (tests/ext_proc/README.md).
#include "wire/ext_proc/ext_proc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "wire/ext_proc/ext_proc_response.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using Kind = ExtProcRequest::Kind;

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

const std::map<std::string, std::string>& vectors() {
  static const auto* const kVectors = [] {
    auto* result = new std::map<std::string, std::string>;
    const char* root = std::getenv("KVASIR_SOURCE_DIR");
    std::ifstream file(std::string(root != nullptr ? root : ".") + "/tests/ext_proc/vectors.txt");
    for (std::string name, hex; std::getline(file, name, '\t') && std::getline(file, hex);) {
      (*result)[name] = from_hex(hex);
    }
    return result;
  }();
  return *kVectors;
}

ExtProcRequest read(const std::string& name) {
  ExtProcRequest request;
  const auto result = read_ext_proc_request(vectors().at(name), request);
  EXPECT_TRUE(result.ok()) << name;
  return request;
}

TEST(ExtProcRequest, HeadersComeWithSubsetAndProtocol) {
  const ExtProcRequest request = read("request_headers");
  EXPECT_EQ(request.kind, Kind::kRequestHeaders);
  EXPECT_TRUE(request.end_of_stream);
  EXPECT_TRUE(request.observability_mode);
  ASSERT_EQ(request.headers.size(), 3u);
  EXPECT_EQ(request.header(":path"), "/v1/completions");
  EXPECT_EQ(request.header("x-request-id"), "abc");
  EXPECT_EQ(request.header("empty"), "");
  EXPECT_EQ(request.header("none"), std::nullopt);
  ASSERT_TRUE(request.metadata.subset);
  EXPECT_THAT(*request.metadata.subset, ElementsAre("10.0.0.1:8000", "10.0.0.2:8000"));
  ASSERT_TRUE(request.protocol);
  EXPECT_EQ(request.protocol->request_body_mode, ExtProcBodyMode::kFullDuplexStreamed);
  EXPECT_EQ(request.protocol->response_body_mode, ExtProcBodyMode::kBuffered);
  EXPECT_TRUE(request.protocol->body_without_waiting_for_header_response);
}

TEST(ExtProcRequest, BodiesAreReadInPlace) {
  ExtProcRequest request = read("request_body");
  EXPECT_EQ(request.kind, Kind::kRequestBody);
  EXPECT_EQ(request.body, std::string_view("{\"a\":1}\0\xff", 9));
  EXPECT_TRUE(request.end_of_stream);
  EXPECT_THAT(*request.metadata.subset, ElementsAre("10.0.0.3:8000"));
  EXPECT_FALSE(request.protocol);
  request = read("response_body");
  EXPECT_EQ(request.kind, Kind::kResponseBody);
  EXPECT_EQ(request.body, "data: x\n\n");
  EXPECT_FALSE(request.end_of_stream);
}

TEST(ExtProcRequest, EmptySubsetIsNotAnAbsentOne) {
  const ExtProcRequest request = read("request_body_empty_subset");
  ASSERT_TRUE(request.metadata.subset);
  EXPECT_TRUE(request.metadata.subset->empty());
  EXPECT_FALSE(read("response_body").metadata.subset);
  EXPECT_FALSE(read("request_body_number_subset").metadata.subset);
}

TEST(ExtProcRequest, ResponsePhaseNamesTheServedEndpoint) {
  const ExtProcRequest request = read("response_headers");
  EXPECT_EQ(request.kind, Kind::kResponseHeaders);
  EXPECT_EQ(request.header(":status"), "200");
  EXPECT_EQ(request.metadata.served_endpoint, "10.0.0.1:8000");
}

TEST(ExtProcRequest, TrailersAreKnown) {
  EXPECT_EQ(read("request_trailers").kind, Kind::kRequestTrailers);
  const ExtProcRequest request = read("response_trailers");
  EXPECT_EQ(request.kind, Kind::kResponseTrailers);
  EXPECT_EQ(request.header("grpc-status"), "0");
}

TEST(ExtProcRequest, EveryTruncationIsAnErrorOrShorter) {
  for (const auto& entry : vectors()) {
    for (size_t size = 0; size < std::min<size_t>(entry.second.size(), 300); ++size) {
      ExtProcRequest request;
      const std::string cut = entry.second.substr(0, size);
      (void)read_ext_proc_request(cut, request).ok();
    }
  }
}

TEST(ExtProcRequest, WrongWireTypeIsRefused) {
  ExtProcRequest request;
  EXPECT_FALSE(read_ext_proc_request("\x10\x01", request).ok());      // request_headers as a number
  EXPECT_FALSE(read_ext_proc_request("\x52\x01x", request).ok());     // observability_mode as bytes
  EXPECT_FALSE(read_ext_proc_request("\x22\x7f", request).ok());      // a body beyond the end
}

TEST(ExtProcAnswer, HeadersAreTheReferencesBytes) {
  ExtProcHeadersAnswer answer;
  answer.clear_route_cache = true;
  answer.mutation.set = {{"x-gateway-destination-endpoint", "10.0.0.1:8000"}, {"content-length", "12"}};
  answer.mutation.remove = {"x-secret"};
  answer.metadata = {{"x-gateway-destination-endpoint", "10.0.0.1:8000"}};
  ExtProcModeOverride mode;
  mode.response_header_mode = 2;
  mode.response_body_mode = ExtProcBodyMode::kFullDuplexStreamed;
  mode.response_trailer_mode = 2;
  answer.mode_override = mode;
  std::string message;
  write_headers_answer(ExtProcSide::kRequest, answer, message);
  EXPECT_EQ(message, vectors().at("answer_request_headers"));

  ExtProcHeadersAnswer replace;
  replace.continue_and_replace = true;
  replace.replaced_body = "whole";
  write_headers_answer(ExtProcSide::kRequest, replace, message);
  EXPECT_EQ(message, vectors().at("answer_replace"));

  ExtProcHeadersAnswer overwrite;
  overwrite.mutation.set = {{"a", "b"}};
  overwrite.mutation.append = ExtProcAppend::kOverwrite;
  write_headers_answer(ExtProcSide::kResponse, overwrite, message);
  EXPECT_EQ(message, vectors().at("answer_response_headers"));
  write_headers_answer(ExtProcSide::kResponse, {}, message);
  EXPECT_EQ(message, vectors().at("answer_response_headers_empty"));
}

TEST(ExtProcAnswer, ScoresAreNumbersByEndpoint) {
  ExtProcHeadersAnswer answer;
  answer.clear_route_cache = true;
  answer.metadata = {{"x-gateway-destination-endpoint", "10.0.0.2:8000"}};
  answer.scores = {{"10.0.0.1:8000", 0}, {"10.0.0.2:8000", 2.8}};
  std::string message;
  write_headers_answer(ExtProcSide::kRequest, answer, message);
  EXPECT_EQ(message, vectors().at("answer_scores"));
}

TEST(ExtProcAnswer, BodyCanCarryThePick) {
  ExtProcBodyAnswer answer;
  answer.clear_route_cache = true;
  answer.mutation.set = {{"a", "b"}};
  answer.replaced_body = "new";
  answer.metadata.texts = {{"x-gateway-destination-endpoint", "10.0.0.1:8000"}};
  std::string message;
  write_body_answer(ExtProcSide::kRequest, answer, message);
  EXPECT_EQ(message, vectors().at("answer_body_pick"));
}

// Protobuf writes the body before end_of_stream, we after: the reference with those two swapped.
TEST(ExtProcAnswer, StreamedBodyEndsWithTheBody) {
  for (const size_t size : {size_t{3}, size_t{130}, size_t{62000}}) {
    std::string message;
    write_streamed_body_head(ExtProcSide::kRequest, size, true, {}, message);
    std::string expected = vectors().at("answer_streamed_" + std::to_string(size));
    const std::string end_of_stream("\x10\x01");
    ASSERT_EQ(expected.substr(expected.size() - 2), end_of_stream);
    expected.resize(expected.size() - 2);
    if (size < 62000) expected.resize(expected.size() - size);
    const size_t body_field = expected.size() - (size < 128 ? 2 : size < 16384 ? 3 : 4);
    expected.insert(body_field, end_of_stream);
    EXPECT_EQ(message, expected) << size;
  }
}

TEST(ExtProcAnswer, BodiesTrailersAndRefusalsAreTheReferencesBytes) {
  std::string message;
  write_body_answer(ExtProcSide::kRequest, {}, message);
  EXPECT_EQ(message, vectors().at("answer_body_empty"));
  write_body_answer(ExtProcSide::kResponse, {false, {}, "new", {}}, message);
  EXPECT_EQ(message, vectors().at("answer_body_replaced"));
  write_body_answer(ExtProcSide::kResponse, {false, {}, "", {}}, message);
  EXPECT_EQ(message, vectors().at("answer_body_cleared"));
  write_trailers_answer(ExtProcSide::kResponse, {}, message);
  EXPECT_EQ(message, vectors().at("answer_trailers"));
  ExtProcImmediate immediate;
  immediate.status = 429;
  immediate.mutation.set = {{"x-reason", "rejected-saturated"}};
  immediate.body = "{\"error\":\"busy\"}";
  immediate.details = "shed";
  write_immediate_answer(immediate, message);
  EXPECT_EQ(message, vectors().at("answer_immediate"));
}

TEST(ExtProcAnswer, ChunksCoverTheBodyAndTheLastSaysSo) {
  for (const size_t size : {size_t{0}, size_t{1}, kExtProcChunkBytes, kExtProcChunkBytes + 1,
                            3 * kExtProcChunkBytes}) {
    const std::string body(size, 'x');
    size_t covered = 0, chunks = 0, ends = 0;
    for_each_chunk(body, [&](std::string_view chunk, bool last) {
      EXPECT_LE(chunk.size(), kExtProcChunkBytes);
      covered += chunk.size();
      ++chunks;
      if (last) ends = chunks;
    });
    EXPECT_EQ(covered, size);
    EXPECT_EQ(ends, chunks);
    EXPECT_EQ(chunks, size == 0 ? 1 : (size + kExtProcChunkBytes - 1) / kExtProcChunkBytes);
  }
}

}  // namespace
}  // namespace kvasir
