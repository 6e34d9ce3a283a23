// From a configuration's data layer or scrapers to the plan of what to scrape.
#pragma once

#include <string_view>

#include "base/checked.h"
#include "base/clock.h"
#include "config/endpoint_picker_config.h"
#include "feeds/scrape_plan.h"
#include "scheduling/registry.h"

namespace kvasir {

// The plan of a configuration. `registry`: data sources and extractors beside the built-in ones.
Checked<ScrapePlan> make_scrape_plan(const EndpointPickerConfig& config, const Registry& registry,
                                     Duration refresh_interval);

// Whether a plugin of this type is part of a plan, so that nobody else need know it.
bool is_scrape_plugin(std::string_view type, const Registry& registry);

}  // namespace kvasir
