// Sends every recorded request to a worker and compares its answers with those of vLLM 0.32.0:
// status, content type, error type, param and code, and the Allow and Location headers. README.md
// says what was recorded.
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <optional>
#include <string>

#include "plain_client.h"
#include "recorded.h"
#include "serving_process.h"

namespace kvasir {
namespace {

using Json = OrderedJson;

constexpr const char* kVocabulary =
    "the recorded vocabulary ends at 2047, ours at 2304: the id is a token here";

// Where we differ, and why.
const std::map<std::string, std::string> kExplained = {
    {"completions_prompt_token_id_first_beyond_vocabulary", kVocabulary},
    {"completions_prompt_token_id_beyond_vocabulary_stream", kVocabulary},
    {"completions_prompt_token_id_beyond_vocabulary_in_second_list", kVocabulary},
    {"completions_logit_bias_out_of_range", kVocabulary},
    {"chat_logit_bias_out_of_range", kVocabulary},
    {"completions_stream_error_logit_bias_out_of_range", kVocabulary},
    {"chat_stream_error_logit_bias_out_of_range", kVocabulary},
    {"reset_prefix_cache_post", "always on here, in vLLM only with VLLM_SERVER_DEV_MODE"},
    {"http_request_line_without_version", "the HTTP server takes no HTTP/0.9"},
    {"http_version_2_0", "the HTTP server takes HTTP/1 only"},
    {"http_without_host", "RFC 9112 3.2: such a request must be refused (docs/HTTP.md)"},
};

constexpr const char* kStripped =
    "clients may not say where KV comes from: the gateway takes it away, whatever it is";

// What the gateway answers itself.
const std::map<std::string, std::string> kGatewaysOwn = {
    {"health_head", "load balancers ask with HEAD: it is answered like GET"},
    {"health_post", "/health and /metrics are the gateway's own pages, which are only read"},
    {"health_put", "/health and /metrics are the gateway's own pages, which are only read"},
    {"health_delete", "/health and /metrics are the gateway's own pages, which are only read"},
    {"metrics_post", "/health and /metrics are the gateway's own pages, which are only read"},
    {"completions_kv_transfer_params_string", kStripped},
    {"chat_kv_transfer_params_string", kStripped},
    {"completions_kv_transfer_params_integer_2_to_64", kStripped},
    {"chat_kv_transfer_params_integer_2_to_64", kStripped},
    {"path_double_slash", "slashes are merged: a proxy before the engine may do so, too"},
};

std::string repeated(const Json& parts) {
  std::string text = parts.at("prefix");
  const std::string unit = parts.at("unit");
  for (int i = 0; i < parts.at("count").get<int>(); ++i) text += unit;
  return text + parts.value("suffix", "");
}

std::string base64_decoded(const std::string& text) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char letter : text) {
    const size_t value = alphabet.find(letter);
    if (value == std::string::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if ((count += 6) < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count & 0xff));
  }
  return bytes;
}

std::string with_host(std::string text, const std::string& host) {
  const std::string mark = "{host}";
  for (size_t at; (at = text.find(mark)) != std::string::npos;) text.replace(at, mark.size(), host);
  return text;
}

std::optional<std::string> body_of(const Json& test_case) {
  if (test_case.contains("body_base64")) return base64_decoded(test_case["body_base64"]);
  if (test_case.contains("body_repeat")) return repeated(test_case["body_repeat"]);
  if (test_case.contains("body")) return test_case["body"].get<std::string>();
  return std::nullopt;
}

// The whole request as record.py sends it.
std::string request_of(const Json& test_case, const std::string& host) {
  if (test_case.contains("raw")) return with_host(test_case["raw"], host);
  if (test_case.contains("raw_repeat")) return with_host(repeated(test_case["raw_repeat"]), host);
  const std::optional<std::string> body = body_of(test_case);
  std::map<std::string, std::string> fields = {{"host", host}};
  if (body) {
    fields["content-type"] = "application/json";
    fields["content-length"] = std::to_string(body->size());
  }
  const Json headers = test_case.value("headers", Json::object());
  for (const auto& [name, value] : headers.items()) {
    if (value.is_null()) {
      fields.erase(name);
    } else {
      fields[name] = value.get<std::string>();
    }
  }
  std::string request = test_case.value("method", "POST") + " " +
                        test_case["path"].get<std::string>() + " HTTP/1.1\r\n";
  for (const auto& [name, value] : fields) request += name + ": " + value + "\r\n";
  return request + "\r\n" + body.value_or("");
}

// The error of a JSON body or of an event in a stream.
Json error_of(const std::string& body) {
  size_t begin = 0;
  const size_t event = body.find("data: {\"error\"");
  if (event != std::string::npos) begin = event + 6;
  const std::string text = body.substr(begin, body.find('\n', begin) - begin);
  const Json value = Json::parse(text, nullptr, false);
  return value.is_object() && value.contains("error") && value["error"].is_object() ? value["error"]
                                                                                    : Json();
}

std::string media_type(const std::string& content_type) {
  return content_type.substr(0, content_type.find(';'));
}

// What is compared, as one line.
std::string summary(int status, const std::string& content_type, const Json& error,
                    const std::string& allow, const std::string& location) {
  std::string line = std::to_string(status) + " " + media_type(content_type);
  if (error.is_object()) {
    line += " " + error["type"].dump() + " " + error["param"].dump() + " " + error["code"].dump();
  }
  return line + (allow.empty() ? "" : " allow " + allow) +
         (location.empty() ? "" : " location " + location);
}

std::string text_or_empty(const Json& object, const char* name) {
  return object.contains(name) && object[name].is_string() ? object[name].get<std::string>() : "";
}

std::string recorded_summary(const Json& answer) {
  return summary(answer["status"], text_or_empty(answer, "content_type"), answer["error"],
                 text_or_empty(answer, "allow"), text_or_empty(answer, "location"));
}

std::string our_summary(const PlainAnswer& answer, const std::string& host) {
  std::string location = answer.field("location").value_or("");
  const size_t found = location.find(host);
  if (found != std::string::npos) location.replace(found, host.size(), "{host}");
  return summary(answer.status, answer.field("content-type").value_or(""), error_of(answer.body),
                 answer.field("allow").value_or(""), location);
}

// Sends every recorded request to `port`; what differs must stand in `explained`.
void compare_with_recorded(uint16_t port, const std::map<std::string, std::string>& explained) {
  const Json cases = load_recorded("cases.json");
  const Json answers = load_recorded("answers.json")["answers"];
  ASSERT_EQ(cases.size(), answers.size());
  const std::string host = "127.0.0.1:" + std::to_string(port);
  size_t equal = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string name = cases[i]["name"];
    const std::string request = request_of(cases[i], host);
    const PlainAnswer answer = plain_request(port, request, request.substr(0, 5) == "HEAD ");
    const std::string expected = recorded_summary(answers[i]);
    const std::string got = our_summary(answer, host);
    const auto why = explained.find(name);
    if (expected == got) {
      ++equal;
      EXPECT_TRUE(why == explained.end()) << name << " is equal: it needs no explanation";
      continue;
    }
    EXPECT_TRUE(why != explained.end()) << name << ": expected " << expected << ", got " << got;
    std::cout << name << ": vLLM " << expected << ", we " << got
              << (why == explained.end() ? "" : " (" + why->second + ")") << "\n";
  }
  std::cout << equal << " of " << cases.size() << " recorded answers are equal\n";
}

int status_of(uint16_t port, const std::string& target) {
  return plain_request(port, "GET " + target + " HTTP/1.1\r\nhost: a\r\n\r\n").status;
}

TEST(VllmErrors, EveryRecordedRequestGetsTheRecordedAnswer) {
  ServingProcess worker("worker", kLikeRecorded);
  compare_with_recorded(worker.port(), kExplained);
  EXPECT_TRUE(worker.alive());
  EXPECT_EQ(status_of(worker.port(), "/health"), 200);
  EXPECT_EQ(worker.terminate(), 0);
}

TEST(VllmErrors, TheGatewayChangesNoAnswer) {
  ServingProcess worker("worker", kLikeRecorded);
  ServingProcess gateway("gateway", {"--threads", "1", "--worker-urls",
                                     "http://127.0.0.1:" + std::to_string(worker.port())});
  for (int tries = 0; tries < 10000 && status_of(gateway.port(), "/health") != 200; ++tries) {
  }
  std::map<std::string, std::string> explained = kExplained;
  for (const auto& [name, why] : kGatewaysOwn) explained[name] = why;
  compare_with_recorded(gateway.port(), explained);
  EXPECT_TRUE(gateway.alive());
  EXPECT_EQ(status_of(gateway.port(), "/health"), 200);
  EXPECT_EQ(gateway.terminate(), 0);
}

TEST(VllmErrors, WhatIsTooLargeIsRefusedInTheShapeOfAnError) {
  ServingProcess worker("worker", kLikeRecorded);
  PlainConnection upload(worker.port());
  upload.send(
      "POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
      "content-length: 104857600\r\n\r\n");
  const PlainAnswer too_large = upload.receive();
  EXPECT_EQ(too_large.status, 413);
  EXPECT_EQ(error_of(too_large.body)["code"], 413);

  // All of it, chunked, so that nothing announces its size.
  PlainConnection chunked(worker.port());
  chunked.send(
      "POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
      "transfer-encoding: chunked\r\n\r\n");
  const std::string chunk = "100000\r\n" + std::string(0x100000, 'a') + "\r\n";
  for (int i = 0; i < 100 && chunked.send(chunk); ++i) {
  }
  EXPECT_EQ(chunked.receive().status, 413);

  PlainConnection flood(worker.port());
  flood.send("GET /health HTTP/1.1\r\nhost: a\r\n");
  const std::string line = "x-flood: " + std::string(1000, 'a') + "\r\n";
  for (int i = 0; i < 1000 && flood.send(line); ++i) {
  }
  const PlainAnswer flooded = flood.receive();
  EXPECT_EQ(flooded.status, 431);
  EXPECT_EQ(error_of(flooded.body)["code"], 431);
  EXPECT_EQ(plain_request(worker.port(), "GET /health HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
}

TEST(VllmErrors, ATruncatedUploadDoesNoHarm) {
  ServingProcess worker("worker", kLikeRecorded);
  PlainConnection upload(worker.port());
  upload.send(
      "POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
      "content-length: 1000\r\n\r\n{\"prompt\":");
  upload.end_sending();
  EXPECT_EQ(upload.receive().status, 400);
  {
    PlainConnection cut(worker.port());
    cut.send("POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{");
  }
  EXPECT_EQ(plain_request(worker.port(), "GET /health HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
  EXPECT_TRUE(worker.alive());
}

TEST(WorkerCommand, RefusesWhatItCannotRun) {
  struct Case {
    std::vector<std::string> arguments;
    std::string named;  // in the output
  };
  const std::vector<Case> cases = {
      {{"--no-such-flag"}, "--no-such-flag"},
      {{"--port", "70000"}, "--port"},
      {{"--block-size", "0"}, "--block-size"},
      {{"--max-num-seqs", "-1"}, "--max-num-seqs"},
      {{"--gpu-memory-utilization", "1.5"}, "--gpu-memory-utilization"},
      {{"--gpu-memory-utilization", "0.1"}, "--max-model-len"},
      {{"--scheduling-policy", "lifo"}, "--scheduling-policy"},
      {{"--time-scale", "0"}, "--time-scale"},
      {{"--engine-profile", "no-such-profile"}, "--engine-profile"},
  };
  for (const Case& refused : cases) {
    const WorkerRun run = run_worker_command(refused.arguments);
    EXPECT_EQ(run.status, 2) << refused.arguments[0] << ": " << run.output;
    EXPECT_NE(run.output.find(refused.named), std::string::npos) << run.output;
  }
}

}  // namespace
}  // namespace kvasir
