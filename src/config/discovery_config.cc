#include "config/discovery_config.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr std::string_view kFileDiscovery = "file-discovery";

class DiscoveryReader {
 public:
  DiscoveryReader(const EndpointPickerConfig& config, std::string_view name)
      : config_(config), name_(name) {}

  Result<DiscoveryFile> run() {
    DiscoveryFile used;
    for (const PluginConfig& plugin : config_.plugins) {
      if (!is_discovery_plugin(plugin.type)) continue;
      const DiscoveryFile file = read(plugin);
      if (plugin.name == config_.data_layer.discovery) used = file;
    }
    check_reference();
    if (!config_.data_layer.peer_discovery.empty()) {
      problem(config_.data_layer.discovery_line,
              "dataLayer: peerDiscovery is not built: --peers names the other pickers");
    }
    if (!config_.data_layer.cross_replica_syncer.empty()) {
      problem(0, "dataLayer: a cross-replica syncer is not built: pickers named by --peers share "
                 "their state themselves");
    }
    if (!problems_.empty()) return Error{problems_};
    return used;
  }

 private:
  void problem(int line, std::string_view text) {
    problems_.append(problems_.empty() ? "" : "\n").append(name_);
    if (line > 0) problems_.append(":").append(std::to_string(line));
    problems_.append(": ").append(text);
  }

  DiscoveryFile read(const PluginConfig& plugin) {
    Parameters parameters(plugin.parameters, plugin.name);
    DiscoveryFile file{parameters.text("path", ""), parameters.boolean("watchFile", false),
                       plugin.line};
    for (const Remark& remark : parameters.problems()) problem(remark.line, remark.text);
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
  const std::string name_;
  std::string problems_;
};

}  // namespace

Result<DiscoveryFile> discovery_file(const EndpointPickerConfig& config, std::string_view name) {
  return DiscoveryReader(config, name).run();
}

bool is_discovery_plugin(std::string_view type) {
  return type == kFileDiscovery;
}

}  // namespace kvasir
