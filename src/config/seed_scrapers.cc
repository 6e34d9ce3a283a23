#include "config/seed_scrapers.h"

#include "base/nearest_name.h"
#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr std::string_view kVllm = "VLLMMetricScraper";
constexpr std::string_view kKvCache = "KVCacheMetricScraper";
constexpr std::string_view kGeneric = "GenericPrometheusScraper";

int line_of(const Value& args, std::string_view key) {
  const Value* found = args.find(key);
  return found != nullptr ? found->line() : 0;
}

HealthCheckConfig read_health_check(const Value& value, const std::string& owner,
                                    std::vector<Remark>& errors) {
  HealthCheckConfig check;
  Parameters fields(value, owner + ": healthCheck");
  check.interval = fields.duration("interval", check.interval);
  check.timeout = fields.duration("timeout", check.timeout);
  check.unhealthy_threshold =
      fields.integer("unhealthyThreshold", check.unhealthy_threshold, 1, 1000);
  check.healthy_threshold = fields.integer("healthyThreshold", check.healthy_threshold, 1, 1000);
  append(errors, fields.problems());
  return check;
}

void read_times(Parameters& args, const Value& value, ScraperConfig& scraper) {
  scraper.interval = args.duration("interval", scraper.interval);
  scraper.timeout = args.duration("timeout", scraper.timeout);
  scraper.metric_ttl = args.duration("ttl", args.duration("metricTTL", scraper.metric_ttl));
  if (scraper.interval <= Duration::zero()) args.fail("interval", "must be longer than 0");
  if (scraper.timeout <= Duration::zero()) args.fail("timeout", "must be longer than 0");
  if (scraper.metric_ttl <= Duration::zero()) args.fail("ttl", "must be longer than 0");
  scraper.interval_line = line_of(value, "interval");
  scraper.timeout_line = line_of(value, "timeout");
  scraper.metric_ttl_line = line_of(value, args.has("ttl") ? "ttl" : "metricTTL");
}

std::string seconds(Duration duration) {
  std::string text = std::to_string(to_seconds(duration));
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + "s";
}

std::string describe(const ScraperConfig& scraper) {
  return scraper.type + ": reads " + scraper.path + " on " +
         (scraper.port != 0 ? "port " + std::to_string(scraper.port)
                            : std::string("the endpoint's own port")) +
         " every " + seconds(scraper.interval) + ", for " + seconds(scraper.timeout) +
         " at most; values count for " + seconds(scraper.metric_ttl);
}

}  // namespace

ScraperConfig read_seed_scraper(const SeedEntry& entry, ConfigReading& reading) {
  ScraperConfig scraper;
  scraper.type = entry.name;
  scraper.line = entry.line;
  if (entry.name != kVllm && entry.name != kKvCache && entry.name != kGeneric) {
    reading.errors.push_back(
        Remark{entry.line, "scrape.enabled: there is no scraper '" + entry.name + "'" +
                               did_you_mean(entry.name, {kVllm, kKvCache, kGeneric})});
    return scraper;
  }
  Parameters args(entry.args, entry.name, "argument");
  scraper.path = args.text("path", args.text("endpoint", scraper.path));
  if (scraper.path.empty() || scraper.path[0] != '/')
    args.fail("endpoint", "must be a path such as /metrics");
  scraper.port = static_cast<uint16_t>(args.integer("port", 0, 1, 65535));
  read_times(args, entry.args, scraper);
  if (entry.name == kKvCache)
    scraper.cache_prefix_tracking = args.boolean("cachePrefixTracking", false);
  if (entry.name == kGeneric) scraper.metrics = args.texts("metrics");
  if (const Value* check = args.any("healthCheck")) {
    scraper.health_check = read_health_check(*check, entry.name, reading.errors);
  }
  append(reading.errors, args.problems());
  reading.notes.push_back(Remark{entry.line, describe(scraper)});
  if (scraper.cache_prefix_tracking) {
    reading.notes.push_back(
        Remark{entry.line, entry.name + ": cachePrefixTracking: what caches hold is read from the "
                                        "engines' KV events, at port 5557 of each endpoint; "
                                        "--kv-events says elsewhere"});
  }
  return scraper;
}

}  // namespace kvasir
