// The seed's scrapers: VLLMMetricScraper, KVCacheMetricScraper, GenericPrometheusScraper.
#pragma once

#include "config/seed_entries.h"

namespace kvasir {

// One entry of scrape.enabled, with a note of what it will do.
ScraperConfig read_seed_scraper(const SeedEntry& entry, ConfigReading& reading);

}  // namespace kvasir
