#include "config/discovery_config.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr std::string_view kFileDiscovery = "file-discovery";

class DiscoveryReader {
 public:
  explicit DiscoveryReader(const EndpointPickerConfig& config) : config_(config) {}

  Checked<DiscoveryFile> run() {
    DiscoveryFile used;
    for (const PluginConfig& plugin : config_.plugins) {
      if (!is_discovery_plugin(plugin.type)) continue;
      const DiscoveryFile file = read(plugin);
      if (plugin.name == config_.data_layer.discovery) used = file;
    }
    check_reference();
    if (!config_.data_layer.peer_discovery.empty()) {
      problem(config_.data_layer.discovery_line,
              "dataLayer: peerDiscovery is not built: --peers or --peers-service names the other "
              "pickers");
    }
    if (!config_.data_layer.cross_replica_syncer.empty()) {
      problem(0, "dataLayer: a cross-replica syncer is not built: pickers named by --peers share "
                 "their state themselves");
    }
    if (!problems_.empty()) return problems_;
    return used;
  }

 private:
  void problem(int line, std::string text) { problems_.push_back({line, std::move(text)}); }

  DiscoveryFile read(const PluginConfig& plugin) {
    Parameters parameters(plugin.parameters, plugin.name);
    DiscoveryFile file{parameters.text("path", ""), parameters.boolean("watchFile", false),
                       plugin.line};
    append(problems_, parameters.problems());
    if (file.path.empty())
      problem(plugin.line, plugin.name + ": path is missing; it names the file of endpoints");
    return file;
  }

  void check_reference() {
    const std::string& name = config_.data_layer.discovery;
    const PluginConfig* plugin = config_.find_plugin(name);
    if (plugin == nullptr || is_discovery_plugin(plugin->type)) return;  // others are told elsewhere
    problem(config_.data_layer.discovery_line,
            "dataLayer: discovery: '" + name + "' is a " + plugin->type +
                "; only file-discovery knows endpoints");
  }

  const EndpointPickerConfig& config_;
  std::vector<Remark> problems_;
};

}  // namespace

Checked<DiscoveryFile> discovery_file(const EndpointPickerConfig& config) {
  return DiscoveryReader(config).run();
}

bool is_discovery_plugin(std::string_view type) {
  return type == kFileDiscovery;
}

}  // namespace kvasir
