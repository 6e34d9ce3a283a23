#include "feeds/scrape_plan.h"

namespace kvasir {
namespace {

constexpr const char* kLegacyEngineLabel = "inference.networking.k8s.io/engine-type";

}  // namespace

const std::string* engine_of(const Endpoint& endpoint, const std::string& label) {
  const std::string* engine = endpoint.label(label);
  return engine != nullptr ? engine : endpoint.label(kLegacyEngineLabel);
}

const PageSpecs& ScrapeSource::page_of(const Endpoint& endpoint) const {
  const std::string* engine = engine_of(endpoint, engine_label);
  if (engine != nullptr) {
    for (const EngineChoice& choice : engines) {
      if (choice.engine == *engine) return choice.page;
    }
  }
  return engines.front().page;
}

}  // namespace kvasir
