// The text of a kubeconfig: whatever it is, an answer or a problem, and no token in a problem.
#include <cstdint>
#include <string>

#include "kube/kube_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t half = text.find("\n---\n");
  std::vector<kvasir::KubeconfigText> files{{"one", "/folder", text.substr(0, half)}};
  if (half != std::string::npos) files.push_back({"two", ".", text.substr(half + 5)});
  const kvasir::Result<kvasir::KubeConfig> config = kvasir::parse_kubeconfig(files);
  if (config && (config->server.host.empty() || config->server.port == 0)) __builtin_trap();
  return 0;
}
