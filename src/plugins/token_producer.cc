#include "plugins/token_producer.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

class TokenProducer final : public Producer {
 public:
  void produce(const Cycle&) override {}
};

MadePlugin make(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  parameters.ignore("modelName");
  parameters.ignore("estimate");
  for (const char* remote : {"vllm", "udsTokenizerConfig"}) {
    parameters.ignore(remote);
    if (parameters.has(remote)) {
      parameters.fail(remote, "asks another process for tokens, which is not built; use estimate");
    }
  }
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  return make_plugin<TokenProducer>();
}

}  // namespace

PluginType token_producer_plugin() {
  return {"token-producer", make};
}

PluginType tokenizer_plugin() {
  return {"tokenizer", make, Stability::kDeprecated, "token-producer"};
}

}  // namespace kvasir
