#include "plugins/destination_endpoint_served_verifier.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

class ServedVerifier final : public Plugin {
 public:
  bool watches_answers() const override { return true; }
  void add_answer_fields(const AnswerOrigin& origin, AnswerFields& fields) const override {
    const std::string_view served = origin.served.empty()
                                        ? "fail: missing destination endpoint served metadata"
                                        : origin.served;
    fields.emplace_back("x-conformance-test-served-endpoint", served);
  }
};

MadePlugin make_destination_endpoint_served_verifier(std::string_view name, const Value& value,
                                                     PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<ServedVerifier>();
}

}  // namespace

PluginType destination_endpoint_served_verifier_plugin() {
  return {"destination-endpoint-served-verifier", make_destination_endpoint_served_verifier};
}

}  // namespace kvasir
