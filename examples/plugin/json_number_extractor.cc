// json-page-source and json-number-extractor: a page of JSON that every endpoint has, and one of
// its numbers as an attribute that scorers and filters can name. A metrics source and an extractor
// from outside Kvasir's tree; how the page is fetched, how often and how long its numbers count is
// Kvasir's business.
//
// Source: GET /stats. Parameters, all read by Kvasir: path, port, interval, timeout, ttl.
// Extractor: pointer (required) is the number's place on the page as a JSON pointer, attribute
// (required)
//   the name that scorers use. A page without the number says nothing: the endpoint keeps what it
//   said before, until its ttl.
//
//   - {type: json-page-source, parameters: {path: /stats, interval: 200ms, ttl: 5s}}
//   - {type: json-number-extractor, parameters: {pointer: /gpu/temperature, attribute:
//   temperature}}
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/parameters.h"
#include "scheduling/plugin_library.h"

namespace {

class JsonNumberExtractor final : public kvasir::MetricsExtractor {
 public:
  // Throws when the pointer is none.
  JsonNumberExtractor(const std::string& pointer, std::string attribute)
      : pointer_(pointer), attribute_(std::move(attribute)) {}

  kvasir::Result<kvasir::EngineMetrics> extract(std::string_view page) const override {
    const nlohmann::json document = nlohmann::json::parse(page, nullptr, false);
    if (document.is_discarded()) return kvasir::Error{"the page is not JSON"};
    if (!document.contains(pointer_) || !document[pointer_].is_number()) {
      return kvasir::Error{"the page has no number at " + pointer_.to_string()};
    }
    auto details = std::make_shared<kvasir::EngineDetails>();
    details->attributes[attribute_] = document[pointer_].get<double>();
    kvasir::EngineMetrics metrics;
    metrics.shared_details = std::move(details);
    return metrics;
  }

 private:
  const nlohmann::json::json_pointer pointer_;
  const std::string attribute_;
};

std::unique_ptr<kvasir::MetricsExtractor> make(kvasir::Parameters& parameters) {
  const std::string pointer = parameters.text("pointer", "");
  const std::string attribute = parameters.text("attribute", "");
  if (attribute.empty()) parameters.fail("attribute", "is missing");
  if (pointer.empty()) parameters.fail("pointer", "is missing");
  try {
    return std::make_unique<JsonNumberExtractor>(pointer, attribute);
  } catch (const nlohmann::json::exception&) {
    parameters.fail("pointer", "must be a JSON pointer such as /gpu/temperature");
    return nullptr;
  }
}

void add_types(kvasir::PluginEntry& entry) {
  entry.add(kvasir::DataSourceType{"json-page-source", "/stats"});
  entry.add(kvasir::ExtractorType{"json-number-extractor", make});
}

}  // namespace

KVASIR_PLUGIN_LIBRARY(add_types)
