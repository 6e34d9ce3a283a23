// All that a configuration says of one pool, as values: names are resolved, defaults filled in, and
// every plugin was found to be possible. compile() (config/compile.h) makes it, once for each text;
// a Pool makes plugins of it. Copied and compared like any value; owns all it has.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "config/discovery_config.h"
#include "config/request_parsers.h"
#include "feeds/scrape_plan.h"
#include "model/scheduling_config.h"
#include "scheduling/wanted_knowledge.h"

namespace kvasir {

struct PoolConfig {
  std::string name;  // of the file or preset, for messages

  // What make_configured_policy() (scheduling/plugin_set.h) makes a policy of; flow control too.
  SchedulingConfig scheduling;
  ScrapePlan scrape;
  RequestParsers parsers;
  DiscoveryFile discovery;  // where the file says that the endpoints are

  // How the configuration was understood, for the log, in order: what was added, translated or has
  // no effect, and warnings; "NAME:LINE: TEXT". The notes that make_configured_policy() gives are
  // among them already.
  std::vector<std::string> notes;

  // Where engines publish the events of their KV caches, when the file says so beside its plugins;
  // nullopt: it does not.
  std::optional<WantedCaches> caches = {};

  // False: the file is empty, or holds no more than apiVersion, kind and keys without a value. Such
  // a one does not replace one that says something (empty_configuration_refusal()).
  bool says_something = false;
  // How many plugins the file itself lists: one that was cut short lists fewer than before.
  size_t plugins_named = 0;

  // Without flow control: whether requests of a priority below 0 are refused while the pool is
  // saturated. A preset refuses nobody.
  bool sheds = true;
  // Of a preset: its times are the model's, so its clock runs --time-scale times faster. The plugins
  // of a file count real seconds, as what they read does.
  bool model_time = false;
};

}  // namespace kvasir
