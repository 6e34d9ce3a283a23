#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "feeds/engine_metrics.h"
#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

bool has_labels(const MetricSample& sample, const MetricSpec& spec) {
  return std::all_of(spec.labels.begin(), spec.labels.end(), [&](const auto& wanted) {
    return sample.label(wanted.first) == wanted.second;
  });
}

// Shares are written as 0 to 1 by engines and as percentages by DCGM and the tutorial.
double as_share(double value, bool percent) {
  return std::clamp(percent ? value / 100 : value, 0.0, 1.0);
}

void append_name(std::string_view name, std::string& names) {
  names.append(names.empty() ? "" : ", ").append(name);
}

std::vector<std::string> split_names(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view name = trimmed(list.substr(0, comma), " ");
    if (!name.empty()) names.emplace_back(name);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return names;
}

std::optional<double> number_of(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  const std::optional<MetricSample> parsed = parse_metric_line("x " + std::string(*text));
  return parsed ? std::optional(parsed->value) : std::nullopt;
}

}  // namespace

EnginePageReader::EnginePageReader(const PageSpecs& specs)
    : specs_(specs), info_tokens_(specs.engines.size()) {
  for (size_t i = 0; i < specs.engines.size(); ++i) {
    const EngineMetricSpecs& engine = specs.engines[i];
    want(engine.waiting, Role::kWaiting, i);
    want(engine.running, Role::kRunning, i);
    want(engine.kv_usage, Role::kKvUsage, i);
    for (const MetricSpec& before : engine.kv_usage_before) want(before, Role::kKvUsage, i);
    want(engine.gpu_utilization, Role::kGpu, i);
    want(engine.block_size, Role::kBlockSize, i);
    want(engine.blocks, Role::kBlocks, i);
    want(engine.lora, Role::kLora, i);
    want(engine.cache_info, Role::kCacheInfo, i);
  }
  for (size_t i = 0; i < specs.custom.size(); ++i) want(specs.custom[i].metric, Role::kCustom, i);
}

void EnginePageReader::want(const MetricSpec& metric, Role role, size_t owner) {
  if (metric.name.empty()) return;
  wanted_.push_back({&metric, role, static_cast<uint32_t>(owner)});
  if (std::find(names_.begin(), names_.end(), metric.name) == names_.end()) {
    names_.push_back(metric.name);
  }
}

void EnginePageReader::start() {
  carried_.clear();
  by_process_.clear();
  skipping_ = lora_seen_ = false;
  lora_time_ = 0;
  info_tokens_.assign(specs_.engines.size(), std::nullopt);
  details_ = {};
  for (Wanted& wanted : wanted_) {
    wanted.sum = 0;
    wanted.series = 0;
    wanted.refused = false;
  }
}

void EnginePageReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const void* found = std::memchr(bytes.data(), '\n', bytes.size());
    const size_t size = found == nullptr
                            ? bytes.size()
                            : static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    const std::string_view piece = bytes.substr(0, size);
    if (found != nullptr && carried_.empty()) {
      if (!skipping_ && is_wanted(piece)) take(piece);
    } else if (!skipping_) {
      carried_.append(
          piece.substr(0, kLineBytesMax + 1 - std::min(carried_.size(), kLineBytesMax)));
      skipping_ = carried_.size() > kLineBytesMax;
      if (found != nullptr && !skipping_ && is_wanted(carried_)) take(carried_);
    }
    if (found == nullptr) return;
    carried_.clear();
    skipping_ = false;
    bytes.remove_prefix(size + 1);
  }
}

// Cheap: most lines of a page are nobody's.
bool EnginePageReader::is_wanted(std::string_view line) const {
  if (line.empty() || line.front() == '#' || line.size() > kLineBytesMax) return false;
  for (const std::string_view name : names_) {
    if (line.size() <= name.size()) continue;
    const char next = line[name.size()];
    if (next != '{' && next != ' ') continue;
    if (line.starts_with(name)) return true;
  }
  return false;
}

void EnginePageReader::take(std::string_view line) {
  const std::optional<MetricSample> sample = parse_metric_line(line);
  if (!sample) return;
  for (Wanted& wanted : wanted_) {
    if (sample->name != wanted.metric->name || !has_labels(*sample, *wanted.metric)) continue;
    if (!is_credible(sample->value, wanted)) {
      wanted.refused = true;
      continue;
    }
    if (wanted.role == Role::kLora) take_lora(*sample);
    if (wanted.role == Role::kCacheInfo) take_cache_info(*sample, wanted.owner);
    if (take_by_process(*sample, wanted)) continue;
    wanted.sum += sample->value;
    ++wanted.series;
  }
}

bool EnginePageReader::is_credible(double value, const Wanted& wanted) const {
  if (!std::isfinite(value)) return false;
  switch (wanted.role) {
    case Role::kWaiting:
    case Role::kRunning:
      return value >= 0 && value <= kRequestsMax;
    case Role::kKvUsage: {
      const double whole = specs_.engines[wanted.owner].kv_usage_in_percent ? 100 : 1;
      return value >= 0 && value <= whole * kShareMax;
    }
    case Role::kGpu:
      return value >= 0 && value <= 100 * kShareMax;
    case Role::kBlockSize:
    case Role::kBlocks:
      return value >= 0;
    case Role::kLora:
    case Role::kCacheInfo:
    case Role::kCustom:
      return true;
  }
  return true;
}

// Several processes that serve one engine may each write what they heard of it last, and most hear
// nothing: vLLM with
// --api-server-count. The largest value is the engine's; the first counts as every engine's does.
bool EnginePageReader::take_by_process(const MetricSample& sample, Wanted& wanted) {
  if (wanted.role != Role::kWaiting && wanted.role != Role::kRunning &&
      wanted.role != Role::kKvUsage)
    return false;
  if (!sample.label("pid")) return false;
  const std::string_view engine = sample.label("engine").value_or("");
  for (ByProcess& seen : by_process_) {
    if (seen.wanted != &wanted || seen.engine != engine) continue;
    wanted.sum += std::max(0.0, sample.value - seen.most);
    seen.most = std::max(seen.most, sample.value);
    return true;
  }
  if (by_process_.size() < kByProcessMax)
    by_process_.push_back({&wanted, std::string(engine), sample.value});
  return false;
}

// The value is a time: the newest series counts.
void EnginePageReader::take_lora(const MetricSample& sample) {
  if (lora_seen_ && sample.value < lora_time_) return;
  lora_seen_ = true;
  lora_time_ = sample.value;
  details_.running_adapters = split_names(sample.label("running_lora_adapters").value_or(""));
  details_.waiting_adapters = split_names(sample.label("waiting_lora_adapters").value_or(""));
  const double most = number_of(sample.label("max_lora")).value_or(0);
  details_.adapters_max = most >= 0 ? static_cast<uint32_t>(std::min(most, 1e6)) : 0;
}

// Labels that are no numbers ("None") say nothing yet.
void EnginePageReader::take_cache_info(const MetricSample& sample, size_t engine) {
  const EngineMetricSpecs& specs = specs_.engines[engine];
  const auto size = number_of(sample.label(specs.block_size_label));
  const auto count = number_of(sample.label(specs.blocks_label));
  if (size && *size < 0) return;  // not to make two wrongs a right
  if (size && count) info_tokens_[engine] = info_tokens_[engine].value_or(0) + *size * *count;
}

// The first engine's that was seen; null: none was.
const EnginePageReader::Wanted* EnginePageReader::find(Role role) const {
  for (const Wanted& wanted : wanted_) {
    if (wanted.role == role && wanted.series > 0) return &wanted;
  }
  return nullptr;
}

std::optional<double> EnginePageReader::cache_tokens() const {
  for (const std::optional<double>& tokens : info_tokens_) {
    if (tokens) return tokens;
  }
  const Wanted* size = find(Role::kBlockSize);
  const Wanted* blocks = find(Role::kBlocks);
  if (size == nullptr || blocks == nullptr) return std::nullopt;
  return size->sum / size->series * blocks->sum;
}

void EnginePageReader::read_capacity(EnginePage& page) const {
  const std::optional<double> tokens = cache_tokens();
  if (!tokens) return;
  if (*tokens >= 1 && *tokens <= kKvCapacityTokensMax) {
    page.kv_capacity_tokens = static_cast<uint64_t>(*tokens);
    return;
  }
  char text[64];
  std::snprintf(text, sizeof text, "a KV cache of %g tokens", *tokens);
  page.refused_capacity = text;
  append_name(text, page.refused);
}

bool EnginePageReader::any_refused(Role role) const {
  return std::any_of(wanted_.begin(), wanted_.end(),
                     [role](const Wanted& w) { return w.role == role && w.refused; });
}

// Names only: a value that changes with every page would be told with every page.
void EnginePageReader::read_refusals(EnginePage& page) const {
  for (const Wanted& wanted : wanted_) {
    if (wanted.refused) append_name("the value of " + wanted.metric->name, page.refused);
  }
  const std::pair<Role, EngineGauge> gauges[] = {{Role::kWaiting, &EngineMetrics::waiting},
                                                 {Role::kRunning, &EngineMetrics::running},
                                                 {Role::kKvUsage, &EngineMetrics::kv_usage},
                                                 {Role::kGpu, &EngineMetrics::gpu_utilization}};
  for (const auto& [role, gauge] : gauges) {
    if (any_refused(role) && find(role) == nullptr) page.doubted.push_back(gauge);
  }
}

// What an engine is expected to say and none of the engines does.
std::string EnginePageReader::missing() const {
  std::string names;
  for (const Role role : {Role::kWaiting, Role::kRunning, Role::kKvUsage}) {
    const auto wanted = std::find_if(wanted_.begin(), wanted_.end(),
                                     [role](const Wanted& w) { return w.role == role; });
    if (wanted == wanted_.end() || find(role) != nullptr || any_refused(role)) continue;
    append_name(wanted->metric->name, names);
  }
  for (const Wanted& wanted : wanted_) {
    if (wanted.role != Role::kCustom || wanted.series > 0 || wanted.refused) continue;
    append_name(wanted.metric->name, names);
  }
  return names;
}

EnginePage EnginePageReader::finish() {
  // A last line without its end.
  if (!skipping_ && is_wanted(carried_)) take(carried_);
  carried_.clear();
  EnginePage page;
  page.any = std::any_of(wanted_.begin(), wanted_.end(),
                         [](const Wanted& w) { return w.series > 0 || w.refused; });
  page.missing = missing();
  if (const Wanted* waiting = find(Role::kWaiting)) page.metrics.waiting = waiting->sum;
  if (const Wanted* running = find(Role::kRunning)) page.metrics.running = running->sum;
  if (const Wanted* usage = find(Role::kKvUsage)) {
    page.metrics.kv_usage =
        as_share(usage->sum / usage->series, specs_.engines[usage->owner].kv_usage_in_percent);
  }
  if (const Wanted* gpu = find(Role::kGpu))
    page.metrics.gpu_utilization = as_share(gpu->sum / gpu->series, true);
  read_refusals(page);
  read_capacity(page);
  for (const Wanted& wanted : wanted_) {
    if (wanted.role != Role::kCustom || wanted.series == 0) continue;
    if (!std::isfinite(wanted.sum)) continue;
    details_.attributes[specs_.custom[wanted.owner].attribute] = wanted.sum;
  }
  if (lora_seen_ || !details_.attributes.empty()) {
    page.metrics.shared_details = std::make_shared<const EngineDetails>(std::move(details_));
  }
  return page;
}

EnginePage read_engine_page(std::string_view page, const PageSpecs& specs) {
  EnginePageReader reader(specs);
  reader.feed(page);
  return reader.finish();
}

EnginePage read_engine_page(std::string_view page, const EngineMetricSpecs& specs) {
  const PageSpecs only{{specs}, {}};
  return read_engine_page(page, only);
}

}  // namespace kvasir
