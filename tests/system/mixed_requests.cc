#include "mixed_requests.h"

#include <atomic>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/random.h"
#include "program.h"

namespace kvasir {
namespace {

using nlohmann::json;

constexpr const char* kModel = "Qwen/Qwen3-32B";
constexpr const char* kWords[] = {"river",   "stone", "quiet", "lantern", "seven",
                                  "orchard", "a",     "of",    "winter",  "salt"};

std::string words(Random& random, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text.append(text.empty() ? "" : " ").append(kWords[random.below(std::size(kWords))]);
  }
  return text;
}

// A text of its own, or one that begins as many others do.
std::string prompt(Random& random) {
  const size_t own = 1 + random.below(random.below(4) == 0 ? 500 : 60);
  if (random.below(2) == 0) return words(random, own);
  Random topic(random.below(4));
  return words(topic, 200) + " " + words(random, own);
}

json ids(Random& random) {
  json list = json::array();
  const size_t count = 1 + random.below(600);
  for (size_t i = 0; i < count; ++i) list.push_back(random.below(256));
  return list;
}

MixedRequest one(Random& random) {
  MixedRequest request;
  json body = {{"model", kModel}, {"max_tokens", 1 + random.below(40)}};
  request.stream = random.below(3) == 0;
  if (request.stream) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
  }
  if (random.below(4) == 0) body["seed"] = random.below(1000);
  if (random.below(10) == 0) body["n"] = 2;
  if (random.below(3) == 0) {
    request.path = "/v1/chat/completions";
    body["messages"] = json::array({{{"role", "user"}, {"content", prompt(random)}}});
  } else {
    request.path = "/v1/completions";
    if (random.below(4) == 0) {
      body["prompt"] = ids(random);
    } else {
      body["prompt"] = prompt(random);
    }
  }
  request.body = body.dump();
  return request;
}

std::string without_chunks(const std::string& body) {
  std::string whole;
  for (size_t at = 0; at < body.size();) {
    const size_t line = body.find("\r\n", at);
    if (line == std::string::npos) break;
    const size_t size = std::strtoul(body.c_str() + at, nullptr, 16);
    whole.append(body, line + 2, size);
    at = line + 2 + size + 2;
  }
  return whole;
}

// The body of an answer as JSON values: one, or each event's.
std::vector<json> values_of(const MixedRequest& request, const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos) return {};
  std::string body = answer.substr(end + 4);
  const std::string head = answer.substr(0, end);
  if (head.find("chunked") != std::string::npos) body = without_chunks(body);
  if (!request.stream) return {json::parse(body, nullptr, false)};
  std::vector<json> values;
  std::istringstream lines(body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("data: {")) values.push_back(json::parse(line.substr(6), nullptr, false));
    if (line.starts_with("data: [DONE]")) values.push_back("done");
  }
  return values;
}

void take_choice(const json& choice, std::vector<std::string>& texts,
                 std::vector<std::string>& ends) {
  const size_t index = choice.value("index", size_t{0});
  if (texts.size() <= index) texts.resize(index + 1), ends.resize(index + 1);
  for (const char* place : {"/text", "/delta/content", "/message/content"}) {
    const json::json_pointer pointer(place);
    if (choice.contains(pointer) && choice[pointer].is_string())
      texts[index] += choice[pointer].get<std::string>();
  }
  if (choice.contains("finish_reason") && choice["finish_reason"].is_string()) {
    ends[index] = choice["finish_reason"].get<std::string>();
  }
}

}  // namespace

std::vector<MixedRequest> mixed_requests(size_t count) {
  std::vector<MixedRequest> requests;
  Random random(2026);
  for (size_t i = 0; i < count; ++i) requests.push_back(one(random));
  return requests;
}

std::string gist_of(const MixedRequest& request, const std::string& answer) {
  std::vector<std::string> texts, ends;
  std::string rest;
  for (const json& value : values_of(request, answer)) {
    if (value == "done") rest += "done ";
    if (!value.is_object()) continue;
    if (value.contains("error")) return "error: " + answer;
    for (const json& choice : value.value("choices", json::array()))
      take_choice(choice, texts, ends);
    if (value.contains("usage") && value["usage"].is_object()) {
      rest += std::to_string(value["usage"].value("prompt_tokens", 0)) + " + " +
              std::to_string(value["usage"].value("completion_tokens", 0));
    }
  }
  std::string gist = answer.substr(0, answer.find("\r\n")) + " " + rest;
  for (size_t i = 0; i < texts.size(); ++i) gist += "\n" + texts[i] + " (" + ends[i] + ")";
  return gist;
}

std::string post_to(uint16_t port, const std::string& path, const std::string& body,
                    const std::string& headers) {
  return ask(port,
             "POST " + path +
                 " HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Type: application/json\r\n" +
                 headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

std::vector<std::string> ask_all(uint16_t port, const std::vector<MixedRequest>& requests,
                                 const std::string& headers, size_t at_once) {
  std::vector<std::string> gists(requests.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i; (i = next++) < requests.size();) {
      gists[i] = gist_of(requests[i], post_to(port, requests[i].path, requests[i].body, headers));
    }
  };
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < at_once; ++i) threads.emplace_back(work);
  threads.clear();
  return gists;
}

double metric_of(uint16_t port, const std::string& name) {
  const std::string page =
      ask(port, "GET /metrics HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n");
  double sum = 0;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name) || (line[name.size()] != '{' && line[name.size()] != ' ')) continue;
    sum += std::atof(line.c_str() + line.rfind(' '));
  }
  return sum;
}

}  // namespace kvasir
