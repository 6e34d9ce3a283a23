// For tests: the requests of every API that has a prompt, as clients of engines send them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

// A request whose prompt begins with a long part, which several requests may have in common, and
// ends with a short one.
struct ApiRequest {
  std::string name;
  std::string path;
  std::string
      body;  // JSON, with HEAD and TAIL where the two parts stand, written as JSON texts are
};

inline const std::vector<ApiRequest>& api_requests() {
  static const std::vector<ApiRequest> kRequests = {
      {"completion", "/v1/completions", R"({"model":"m","prompt":"HEAD TAIL","max_tokens":5})"},
      {"completion of a list", "/v1/completions", R"({"model":"m","prompt":["HEAD TAIL"]})"},
      {"chat with a long message", "/v1/chat/completions",
       R"({"model":"m","messages":[{"role":"user","content":"HEAD TAIL"}]})"},
      {"chat with a long system text in parts", "/v1/chat/completions",
       R"({"messages":[{"content":[{"type":"text","text":"HEAD"}],"role":"system"},
           {"role":"user","content":"TAIL"}],"model":"m"})"},
      {"chat with long tools, behind the messages", "/v1/chat/completions",
       R"({"model":"m","messages":[{"role":"user","content":"TAIL"}],"tools":[{"type":"function",
           "function":{"name":"f","description":"HEAD","parameters":{}}}]})"},
      {"chat with long documents", "/v1/chat/completions",
       R"({"model":"m","messages":[{"role":"user","content":"TAIL"}],"documents":[{"text":"HEAD"}]})"},
      {"response with long instructions", "/v1/responses",
       R"({"model":"m","input":"TAIL","instructions":"HEAD"})"},
      {"response with a long input", "/v1/responses", R"({"model":"m","input":"HEAD TAIL"})"},
      {"response with long tools", "/v1/responses",
       R"({"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"TAIL"}]}],
           "tools":[{"type":"function","name":"f","description":"HEAD"}]})"},
      {"message with a long system text", "/v1/messages",
       R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"TAIL"}],"system":"HEAD"})"},
      {"message with a long system text in blocks", "/v1/messages",
       R"({"model":"m","max_tokens":5,"system":[{"type":"text","text":"HEAD","cache_control":{"type":"ephemeral"}}],
           "messages":[{"role":"user","content":[{"type":"text","text":"TAIL"}]}]})"},
      {"message with long tools", "/v1/messages",
       R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"TAIL"}],
           "tools":[{"name":"f","description":"HEAD","input_schema":{"type":"object"}}]})"},
      {"embedding", "/v1/embeddings", R"({"model":"m","input":"HEAD TAIL"})"},
      {"pooling", "/pooling", R"({"model":"m","input":["HEAD TAIL"]})"},
      {"rerank", "/v1/rerank", R"({"model":"m","query":"HEAD","documents":["TAIL"]})"},
      {"score", "/score", R"({"model":"m","text_1":"HEAD","text_2":"TAIL"})"},
      {"score of data", "/v1/score", R"({"model":"m","data_1":"HEAD","data_2":"TAIL"})"},
      {"score of items", "/score", R"({"model":"m","queries":"HEAD","items":["TAIL"]})"},
      {"vLLM's own generate", "/generate", R"({"prompt":"HEAD TAIL","max_tokens":5})"},
      {"SGLang's generate", "/generate",
       R"({"text":"HEAD TAIL","sampling_params":{"max_new_tokens":5}})"},
      {"invocation of a completion", "/invocations", R"({"model":"m","prompt":"HEAD TAIL"})"},
      {"invocation of a chat", "/invocations",
       R"({"messages":[{"role":"system","content":"HEAD"},{"role":"user","content":"TAIL"}]})"},
  };
  return kRequests;
}

// The same with token ids: HEAD and TAIL are numbers with commas between them.
inline const std::vector<ApiRequest>& api_id_requests() {
  static const std::vector<ApiRequest> kRequests = {
      {"completion of ids", "/v1/completions", R"({"model":"m","prompt":[HEAD,TAIL]})"},
      {"embedding of ids", "/v1/embeddings", R"({"model":"m","input":[[HEAD, TAIL]]})"},
      {"tokens in", "/inference/v1/generate",
       R"({"model":"m","token_ids":[HEAD,TAIL],"sampling_params":{"max_tokens":5}})"},
      {"SGLang's ids", "/generate", R"({"input_ids":[HEAD,TAIL]})"},
      {"invocation of ids", "/invocations", R"({"model":"m","prompt":[HEAD,TAIL]})"},
  };
  return kRequests;
}

inline std::string body_with(const ApiRequest& request, std::string_view head,
                             std::string_view tail) {
  std::string body = request.body;
  body.replace(body.find("HEAD"), 4, head);
  return body.replace(body.find("TAIL"), 4, tail);
}

// Twenty thousand bytes of words, or of ids, that `seed` tells from others at once.
inline std::string long_words(int seed) {
  std::string words;
  for (int i = 0; words.size() < 20'000; ++i) words += "word" + std::to_string(seed + i) + " ";
  return words;
}
inline std::string long_ids(int seed) {
  std::string ids = std::to_string(seed);
  for (int i = 0; ids.size() < 20'000; ++i) ids += "," + std::to_string(seed + i);
  return ids;
}

}  // namespace kvasir
