#include "config/flow_control_section.h"

#include <algorithm>
#include <limits>

#include "base/parameters.h"
#include "wire/quantity.h"

namespace kvasir {
namespace {

// A quantity, written as a text ("512Mi") or as a whole number.
std::optional<uint64_t> read_quantity(Parameters& fields, std::string_view key) {
  const Value* value = fields.any(key);
  if (value == nullptr) return std::nullopt;
  const int64_t* number = value->integer();
  if (number != nullptr && *number >= 0) return static_cast<uint64_t>(*number);
  const std::optional<uint64_t> parsed =
      value->text() != nullptr ? parse_quantity(*value->text()) : std::nullopt;
  if (!parsed) fields.fail(key, "must be a quantity of at least 0, such as 5000, 512Mi or 1G");
  return parsed;
}

// 0s: no limit, as upstream's.
constexpr Duration kNoLimit = std::chrono::hours(24 * 365 * 10);

Duration read_ttl(Parameters& fields, std::string_view key, Duration fallback) {
  const Duration ttl = fields.duration(key, fallback);
  return fields.has(key) && ttl == Duration::zero() ? kNoLimit : ttl;
}

PriorityBandConfig read_band(const Value& value, const std::string& owner, bool needs_priority,
                             std::vector<Remark>& errors) {
  PriorityBandConfig band;
  Parameters fields(value, owner, "field");
  if (needs_priority && value.map() != nullptr && !fields.has("priority"))
    fields.fail("priority", "is missing");
  band.priority = fields.integer("priority", 0, std::numeric_limits<int32_t>::min(),
                                 std::numeric_limits<int32_t>::max());
  band.bytes_most = read_quantity(fields, "maxBytes").value_or(band.bytes_most);
  band.requests_most = read_quantity(fields, "maxRequests").value_or(band.requests_most);
  band.fairness_policy = fields.text("fairnessPolicyRef", band.fairness_policy);
  band.ordering_policy = fields.text("orderingPolicyRef", band.ordering_policy);
  band.default_request_ttl = fields.duration("defaultRequestTTL", Duration::zero());
  band.line = value.line();
  append(errors, fields.problems());
  return band;
}

std::vector<PriorityBandConfig> read_bands(const Value* value, std::vector<Remark>& errors) {
  std::vector<PriorityBandConfig> bands;
  const std::string owner = "flowControl: priorityBands";
  for (const Value& element : read_list(value, owner, errors)) {
    const std::string name = owner + "[" + std::to_string(bands.size()) + "]";
    bands.push_back(read_band(element, name, true, errors));
    for (size_t other = 0; other + 1 < bands.size(); ++other) {
      if (bands[other].priority != bands.back().priority) continue;
      errors.push_back(Remark{element.line(), name + ": priority " +
                                                  std::to_string(bands[other].priority) +
                                                  " already has the band of line " +
                                                  std::to_string(bands[other].line)});
    }
  }
  std::stable_sort(bands.begin(), bands.end(),
                   [](const PriorityBandConfig& left, const PriorityBandConfig& right) {
                     return left.priority > right.priority;
                   });
  return bands;
}

}  // namespace

FlowControlConfig read_flow_control(const Value& section, std::vector<Remark>& errors) {
  FlowControlConfig config;
  config.line = section.line();
  Parameters fields(section, "flowControl", "field");
  config.bytes_most = read_quantity(fields, "maxBytes");
  config.requests_most = read_quantity(fields, "maxRequests");
  config.default_request_ttl = read_ttl(fields, "defaultRequestTTL", config.default_request_ttl);
  config.no_endpoint_request_ttl =
      read_ttl(fields, "noEndpointRequestTTL", config.default_request_ttl);
  if (const Value* band = fields.any("defaultPriorityBand")) {
    config.default_band = read_band(*band, "flowControl: defaultPriorityBand", false, errors);
  }
  config.default_negative_band = config.default_band;
  if (const Value* band = fields.any("defaultNegativePriorityBand")) {
    config.default_negative_band =
        read_band(*band, "flowControl: defaultNegativePriorityBand", false, errors);
  }
  config.bands = read_bands(fields.any("priorityBands"), errors);
  config.usage_limit_policy = fields.text("usageLimitPolicyPluginRef", "");
  if (const Value* detector = fields.any("saturationDetector")) {
    config.saturation_detector =
        read_plugin_ref(detector, "flowControl: saturationDetector", errors);
  }
  config.eviction = fields.boolean("enableEviction", false);
  append(errors, fields.problems());
  return config;
}

}  // namespace kvasir
