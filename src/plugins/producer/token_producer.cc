#include "plugins/producer/token_producer.h"

#include <utility>

#include "base/parameters.h"
#include "scheduling/wanted_knowledge.h"

namespace kvasir {
namespace {

constexpr const char* kDefaultUrl = "http://localhost:8000";

class TokenProducer final : public Producer, public KnowledgeReader {
 public:
  explicit TokenProducer(std::optional<WantedTokens> tokens) : tokens_(std::move(tokens)) {}
  // The tokens are there before any plugin runs.
  void produce(const Cycle&) override {}
  void add_wanted(WantedKnowledge& wanted) const override {
    if (tokens_) wanted.tokens = tokens_;
  }

 private:
  const std::optional<WantedTokens> tokens_;
};

void without_effect(Parameters& parameters, const char* key, const char* why,
                    PluginContext& context) {
  if (parameters.any(key) != nullptr)
    context.note(std::string(key) + " has no effect here: " + why);
}

// As upstream, a model's name alone means the service at its default address.
std::optional<WantedTokens> read_service(std::string_view name, Parameters& parameters,
                                         std::vector<Remark>& problems, PluginContext& context) {
  WantedTokens tokens;
  tokens.plugin = name;
  tokens.model = parameters.text("modelName", "");
  tokens.url = kDefaultUrl;
  const Value* value = parameters.any("vllm");
  if (value == nullptr) return tokens.model.empty() ? std::nullopt : std::optional(tokens);
  Parameters service(*value, std::string(name) + ": vllm");
  tokens.url = service.text("url", kDefaultUrl);
  if (!tokens.url.starts_with("http://")) service.fail("url", "must be http://HOST:PORT");
  if (service.has("timeout")) tokens.timeout = service.duration("timeout", Duration::zero());
  if (tokens.timeout && *tokens.timeout <= Duration::zero()) {
    service.fail("timeout", "must be longer than 0");
  }
  without_effect(service, "mmTimeout", "the tokens of prompts with images are not asked for",
                 context);
  append(problems, service.problems());
  return tokens;
}

MadePlugin make_token_producer(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  std::vector<Remark> problems;
  std::optional<WantedTokens> tokens = read_service(name, parameters, problems, context);
  without_effect(parameters, "udsTokenizerConfig",
                 "no tokenizer is asked over a Unix socket: give vllm.url", context);
  without_effect(parameters, "estimate",
                 "what is not asked for is estimated by what answers have taught", context);
  append(problems, parameters.problems());
  if (!problems.empty()) return problems;
  return make_plugin<TokenProducer>(std::move(tokens));
}

}  // namespace

PluginType token_producer_plugin() {
  return {"token-producer", make_token_producer};
}

PluginType tokenizer_plugin() {
  return {"tokenizer", make_token_producer, Stability::kDeprecated, "token-producer"};
}

}  // namespace kvasir
