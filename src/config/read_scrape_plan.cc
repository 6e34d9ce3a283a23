#include "config/read_scrape_plan.h"

#include <algorithm>

#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr std::string_view kMetricsSource = "metrics-data-source";
constexpr std::string_view kDcgmSource = "dcgm-data-source";
constexpr std::string_view kCoreExtractor = "core-metrics-extractor";
constexpr std::string_view kDcgmExtractor = "dcgm-extractor";
constexpr uint16_t kDcgmPort = 9400;

// Every built-in engine, the default one first.
std::vector<EngineChoice> builtin_engines(std::string_view first) {
  std::vector<EngineChoice> engines;
  for (const std::string_view name :
       {"vllm", "sglang", "trtllm-serve", "triton-tensorrt-llm", "triton"}) {
    engines.push_back({std::string(name), {{*find_engine_metric_specs(name)}, {}}});
  }
  std::stable_partition(engines.begin(), engines.end(),
                        [&](const EngineChoice& choice) { return choice.engine == first; });
  return engines;
}

PageSpecs dcgm_page() {
  EngineMetricSpecs specs;
  specs.engine = "dcgm";
  specs.gpu_utilization.name = "DCGM_FI_DEV_GPU_UTIL";
  return {{specs}, {}};
}

// Upstream rounds a source's interval to a multiple of the refresh interval.
Duration rounded(Duration wanted, Duration refresh) {
  return std::max<Duration>(refresh, (wanted + refresh / 2) / refresh * refresh);
}

class PlanMaker {
 public:
  PlanMaker(const EndpointPickerConfig& config, const Registry& registry, Duration refresh)
      : config_(config), registry_(registry), refresh_(refresh) {}

  Checked<ScrapePlan> run() {
    for (const DataSourceConfig& source : config_.data_layer.sources) add_source(source);
    for (const ScraperConfig& scraper : config_.scrapers) add_scraper(scraper);
    for (const PluginConfig& plugin : config_.plugins) check_is_used(plugin);
    if (!problems_.empty()) return problems_;
    return std::move(plan_);
  }

 private:
  void problem(int line, std::string text) { problems_.push_back({line, std::move(text)}); }
  void take_problems(const Parameters& parameters) { append(problems_, parameters.problems()); }

  void add_source(const DataSourceConfig& config) {
    const PluginConfig* plugin = config_.find_plugin(config.plugin);
    if (plugin == nullptr || !is_scrape_plugin(plugin->type, registry_)) return;
    const bool dcgm = plugin->type == kDcgmSource;
    const DataSourceType* of_library = registry_.find_data_source(plugin->type);
    ScrapeSource source;
    source.type = plugin->type;
    if (of_library != nullptr) {
      source.path = of_library->path;
      source.port = of_library->port;
    }
    Parameters parameters(plugin->parameters, plugin->name.empty() ? plugin->type : plugin->name);
    if (parameters.choice("scheme", "http", {"http", "https"}) == "https") {
      parameters.fail("scheme", "https is not built: metrics are read over plain http");
    }
    source.path = parameters.text("path", source.path);
    if (!source.path.starts_with('/')) parameters.fail("path", "must begin with /");
    source.port =
        static_cast<uint16_t>(parameters.integer("port", dcgm ? kDcgmPort : source.port, 1, 65535));
    source.interval = rounded(parameters.duration("interval", refresh_), refresh_);
    if (of_library != nullptr) {
      source.timeout = parameters.duration("timeout", source.timeout);
      source.ttl = parameters.duration("ttl", source.ttl);
      if (config.extractors.empty()) {
        parameters.fail("extractors",
                        "are missing: dataLayer.sources must name who reads its page");
      }
    }
    for (const char* tls :
         {"insecureSkipVerify", "caCertPath", "clientCertPath", "clientKeyPath"}) {
      parameters.ignore(tls);
    }
    // Who runs on which node is Kubernetes' to say: the endpoint's own address is asked.
    if (dcgm && parameters.boolean("useNodeAddress", false)) {
      plan_.notes.push_back(plugin->name + ": useNodeAddress has no effect here: the address of a node "
                            "is not known, the endpoint's own is asked");
    }
    take_problems(parameters);
    for (const std::string& extractor : config.extractors) add_extractor(extractor, source);
    if (source.engines.empty()) {
      source.engines = source.extractors.empty() ? default_engines(dcgm)
                                                 : std::vector<EngineChoice>{{"none", {}}};
    }
    plan_.sources.push_back(std::move(source));
  }

  static std::vector<EngineChoice> default_engines(bool dcgm) {
    return dcgm ? std::vector<EngineChoice>{{"dcgm", dcgm_page()}} : builtin_engines("vllm");
  }

  void add_extractor(const std::string& plugin_name, ScrapeSource& source) {
    const PluginConfig* plugin = config_.find_plugin(plugin_name);
    if (plugin == nullptr) return;
    if (plugin->type == kDcgmExtractor) {
      Parameters parameters(plugin->parameters, plugin->type);
      take_problems(parameters);
      source.engines = default_engines(true);
    } else if (plugin->type == kCoreExtractor) {
      read_core_extractor(*plugin, source);
    } else if (const ExtractorType* type = registry_.find_extractor(plugin->type)) {
      Parameters parameters(plugin->parameters, plugin->name);
      source.extractors.push_back({plugin->name, type->make(parameters)});
      take_problems(parameters);
    }
  }

  void read_core_extractor(const PluginConfig& plugin, ScrapeSource& source) {
    Parameters parameters(plugin.parameters, plugin.type);
    source.engine_label = parameters.text("engineLabelKey", source.engine_label);
    const std::string first = parameters.text("defaultEngine", "vllm");
    source.engines = builtin_engines(first);
    if (const Value* configs = parameters.any("engineConfigs")) {
      if (configs->list() == nullptr) {
        parameters.fail("engineConfigs", "must be a list");
      } else {
        for (const Value& engine : *configs->list()) read_engine(engine, source.engines);
      }
    }
    std::stable_partition(source.engines.begin(), source.engines.end(),
                          [&](const EngineChoice& choice) { return choice.engine == first; });
    if (source.engines.front().engine != first) {
      parameters.fail("defaultEngine", "names no engine: '" + first + "'");
    }
    take_problems(parameters);
  }

  // Fields that are left out keep what a built-in engine of that name has.
  void read_engine(const Value& value, std::vector<EngineChoice>& engines) {
    Parameters fields(value, std::string(kCoreExtractor) + ": engineConfigs");
    const std::string engine = fields.text("name", "");
    if (engine.empty()) fields.fail("name", "is missing");
    auto found = std::find_if(engines.begin(), engines.end(),
                              [&](const EngineChoice& choice) { return choice.engine == engine; });
    if (found == engines.end()) {
      EngineMetricSpecs specs;
      specs.engine = engine;
      found = engines.insert(engines.end(), {engine, {{specs}, {}}});
    }
    EngineMetricSpecs& specs = found->page.engines.front();
    read_metric(fields, "queuedRequestsSpec", specs.waiting);
    read_metric(fields, "runningRequestsSpec", specs.running);
    const std::string usage = specs.kv_usage.name;
    read_metric(fields, "kvUsageSpec", specs.kv_usage);
    if (specs.kv_usage.name != usage) specs.kv_usage_before.clear();
    read_metric(fields, "loraSpec", specs.lora);
    read_metric(fields, "cacheInfoSpec", specs.cache_info);
    read_metric(fields, "cacheBlockSizeSpec", specs.block_size);
    read_metric(fields, "cacheNumBlocksSpec", specs.blocks);
    specs.block_size_label = fields.text("cacheBlockSizeLabelName", specs.block_size_label);
    specs.blocks_label = fields.text("cacheNumBlocksLabelName", specs.blocks_label);
    if (const Value* custom = fields.any("customMetrics")) {
      if (custom->list() == nullptr) {
        fields.fail("customMetrics", "must be a list");
      } else {
        for (const Value& metric : *custom->list()) read_custom(metric, found->page.custom);
      }
    }
    take_problems(fields);
  }

  static void read_metric(Parameters& fields, std::string_view key, MetricSpec& metric) {
    if (!fields.has(key)) return;
    const std::string text = fields.text(key, "");
    const std::optional<MetricSpec> read = parse_metric_spec(text);
    if (read) {
      metric = *read;
    } else {
      fields.fail(key, "must be a metric such as name{label=value}, not '" + text + "'");
    }
  }

  void read_custom(const Value& value, std::vector<CustomMetric>& custom) {
    Parameters fields(value, std::string(kCoreExtractor) + ": customMetrics");
    CustomMetric metric;
    metric.attribute = fields.text("attributeKey", "");
    if (metric.attribute.empty()) fields.fail("attributeKey", "is missing");
    if (!fields.has("metricSpec")) fields.fail("metricSpec", "is missing");
    read_metric(fields, "metricSpec", metric.metric);
    take_problems(fields);
    custom.push_back(std::move(metric));
  }

  // The seed's scrapers: the tutorial's names, and vLLM's own where a page lacks them.
  void add_scraper(const ScraperConfig& scraper) {
    ScrapeSource source;
    source.type = scraper.type;
    source.path = scraper.path;
    source.port = scraper.port;
    source.interval = std::max(scraper.interval, kRefreshIntervalLeast);
    source.timeout = scraper.timeout;
    source.ttl = scraper.metric_ttl;
    PageSpecs page;
    if (scraper.type == "GenericPrometheusScraper") {
      for (const std::string& metric : scraper.metrics) {
        const std::optional<MetricSpec> read = parse_metric_spec(metric);
        if (read) {
          page.custom.push_back({metric, *read});
        } else {
          problem(scraper.line, "GenericPrometheusScraper: '" + metric + "' is no metric's name");
        }
      }
    } else {
      page.engines = {*find_engine_metric_specs("seed"), *find_engine_metric_specs("vllm")};
      // What seed-composite-scorer looks for; in milliseconds, as its limit is.
      page.custom.push_back({"latency-p99-ms", {"vllm_request_latency_p99", {}}});
    }
    source.engines.push_back({"seed", std::move(page)});
    if (scraper.health_check) plan_.health_check = scraper.health_check;
    plan_.sources.push_back(std::move(source));
  }

  // What no source uses would be missed.
  void check_is_used(const PluginConfig& plugin) {
    if (!is_scrape_plugin(plugin.type, registry_) || plugin.line == 0) return;
    for (const DataSourceConfig& source : config_.data_layer.sources) {
      if (source.plugin == plugin.name) return;
      if (std::find(source.extractors.begin(), source.extractors.end(), plugin.name) !=
          source.extractors.end())
        return;
    }
    if (plugin.parameters.is_null()) return;
    problem(plugin.line, plugin.type + " has parameters, but dataLayer.sources does not name it");
  }

  const EndpointPickerConfig& config_;
  const Registry& registry_;
  const Duration refresh_;
  ScrapePlan plan_;
  std::vector<Remark> problems_;
};

}  // namespace

Checked<ScrapePlan> make_scrape_plan(const EndpointPickerConfig& config, const Registry& registry,
                                     Duration refresh_interval) {
  return PlanMaker(config, registry, refresh_interval).run();
}

bool is_scrape_plugin(std::string_view type, const Registry& registry) {
  return type == kMetricsSource || type == kDcgmSource || type == kCoreExtractor ||
         type == kDcgmExtractor || registry.find_data_source(type) != nullptr ||
         registry.find_extractor(type) != nullptr;
}

}  // namespace kvasir
