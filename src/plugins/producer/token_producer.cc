#include "plugins/producer/token_producer.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr const char* kNote =
    "has no effect here: no other process is asked for tokens; every prompt is estimated at four "
    "bytes a token, and token ids are counted";

class TokenProducer final : public Producer {
 public:
  void produce(const Cycle&) override {}
};

MadePlugin make_token_producer(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  parameters.ignore("modelName");
  parameters.ignore("estimate");
  parameters.ignore("vllm");
  parameters.ignore("udsTokenizerConfig");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<TokenProducer>();
}

}  // namespace

PluginType token_producer_plugin() {
  PluginType type{"token-producer", make_token_producer};
  type.note = kNote;
  return type;
}

PluginType tokenizer_plugin() {
  PluginType type{"tokenizer", make_token_producer, Stability::kDeprecated, "token-producer"};
  type.note = kNote;
  return type;
}

}  // namespace kvasir
