// Sends the requests of shapes.json to a worker and compares the shape of its answers with vLLM's:
// which fields there are, in which order, and which of them are null. Texts, ids and numbers
// differ.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plain_client.h"
#include "recorded.h"
#include "serving_process.h"

namespace kvasir {
namespace {

// The tokens that the requests name, in our vocabulary: the end of sequence, the letter d, a text
// of one token.
std::string in_our_vocabulary(std::string request) {
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"\"allowed_token_ids\":[1]", "\"allowed_token_ids\":[2304]"},
      {"\"allowed_token_ids\":[72]", "\"allowed_token_ids\":[100]"},
      {"\"prompt\":\"Hello\"", "\"prompt\":\" bab\""}};
  for (const auto& [theirs, ours] : changes) {
    const size_t found = request.find(theirs);
    if (found != std::string::npos) request.replace(found, theirs.size(), ours);
  }
  return request;
}

bool has_free_keys(const std::string& key) {
  return key == "top_logprobs" || key == "prompt_logprobs";
}

// A value without what may differ: the fields of objects in their order, one item of each list.
std::string shape_of(const OrderedJson& value, const std::string& key = {}) {
  if (value.is_object()) {
    if (has_free_keys(key)) return "{...}";  // the keys are tokens
    std::string shape = "{";
    for (const auto& [name, member] : value.items())
      shape += name + ":" + shape_of(member, name) + " ";
    return shape + "}";
  }
  if (value.is_array()) {
    if (value.empty()) return "[]";
    return "[" + shape_of(value.back(), key) + "]";
  }
  return std::string(value.type_name());
}

// The shapes of a body: of its one value, or of the events of a stream in their order, each once,
// since the choices of an answer take turns as they like.
std::vector<std::string> shapes_of(const std::string& body) {
  std::vector<std::string> shapes;
  if (body.compare(0, 6, "data: ") != 0) {
    if (body.empty()) return shapes;
    return {shape_of(OrderedJson::parse(body))};
  }
  for (size_t begin = 0; begin < body.size();) {
    const size_t end = body.find("\n\n", begin);
    const std::string event = body.substr(begin + 6, end - begin - 6);
    begin = end + 2;
    std::string shape = event == "[DONE]" ? event : shape_of(OrderedJson::parse(event));
    if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end())
      shapes.push_back(std::move(shape));
  }
  return shapes;
}

TEST(VllmShapes, AnswersHaveTheFieldsOfVllm) {
  ServingProcess worker("worker", kLikeRecorded);
  const OrderedJson shapes = load_recorded("shapes.json");
  ASSERT_GT(shapes["shapes"].size(), 40u);
  for (const OrderedJson& recorded : shapes["shapes"]) {
    const std::string name = recorded["name"];
    const std::string body =
        recorded["request"].is_null() ? "" : in_our_vocabulary(recorded["request"].dump());
    std::string request = recorded["method"].get<std::string>() + " " +
                          recorded["path"].get<std::string>() + " HTTP/1.1\r\nhost: a\r\n";
    if (!body.empty()) {
      request +=
          "content-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
          "\r\n";
    }
    const PlainAnswer answer = plain_request(worker.port(), request + "\r\n" + body);
    EXPECT_EQ(answer.status, recorded["status"].get<int>()) << name;
    EXPECT_EQ(shapes_of(answer.body), shapes_of(recorded["body"])) << name;
    for (const auto& header : recorded["headers"]) {
      const std::string field = header[0];
      if (field != "content-type" && field != "vary" && field != "allow") continue;
      EXPECT_EQ(answer.field(field).value_or(""), header[1].get<std::string>()) << name;
    }
  }
}

}  // namespace
}  // namespace kvasir
