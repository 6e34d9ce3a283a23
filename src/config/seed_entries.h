// The entries of the seed's lists filter.enabled, score.enabled and scrape.enabled, each joined
// with what pluginConfig says for its name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config_reading.h"

namespace kvasir {

struct SeedEntry {
  std::string name;
  std::optional<double> weight;
  Value args;             // a map or null; what the entry itself says counts before pluginConfig
  bool own_args = false;  // the entry itself says something
  int line = 0;
};

struct SeedProfile {
  std::string name;
  std::vector<SeedEntry> filters;
  std::vector<SeedEntry> scorers;
  std::vector<SeedEntry> scrapers;
  // Of a profile that enables DecodeFilter and PrefillFilter: pd-profile-handler, with what
  // pluginConfig says for it.
  std::optional<SeedEntry> pair;
  int line = 0;
};

// Profiles in the file's order. Errors, notes, and a warning for each pluginConfig that no profile
// enables.
std::vector<SeedProfile> read_seed_profiles(const Value& document, ConfigReading& reading);

}  // namespace kvasir
