// Fills a sidecar's allowlist from where its flags say: addresses, a file, a name, or the pods of
// an InferencePool.
//
// Lives on its loop's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/kube_session.h"
#include "feeds/discovery.h"
#include "net/io/system_resolver.h"
#include "sidecar/prefiller_allowlist.h"

namespace CLI {
class App;
}

namespace kvasir {

class EventLoop;

struct SidecarAllowlistFlags {
  bool enabled = false;
  // Upstream's: an InferencePool. NAMESPACE/NAME, or NAME in "default"; the two older flags.
  std::string inference_pool;
  std::string inference_pool_name;
  std::string inference_pool_namespace;
  std::string pool_group = PoolSelection().pool_group;
  // Ours.
  std::string kubeconfig;
  std::vector<std::string> manifests;
  std::vector<std::string> addresses;
  std::string file;
  std::string dns;
};

void add_sidecar_allowlist_flags(CLI::App& command, SidecarAllowlistFlags& flags);

// Also reads INFERENCE_POOL, INFERENCE_POOL_NAME and INFERENCE_POOL_NAMESPACE. The error names the
// flag.
Result<void> settle_allowlist_flags(SidecarAllowlistFlags& flags);

class SidecarAllowlist final : private DiscoveryListener {
 public:
  // Precondition: settle_allowlist_flags() passed. Both must outlive it. The error says why there
  // is no way to the source.
  static Result<std::unique_ptr<SidecarAllowlist>> start(EventLoop& loop,
                                                         const SidecarAllowlistFlags& flags,
                                                         PrefillerAllowlist& allowlist);
  ~SidecarAllowlist() override;

  // For people: "InferencePool default/vllm by in-cluster".
  const std::string& source() const { return source_; }

 private:
  explicit SidecarAllowlist(PrefillerAllowlist& allowlist) : allowlist_(allowlist) {}
  Result<void> begin(EventLoop& loop, const SidecarAllowlistFlags& flags);

  void on_endpoints(std::vector<Endpoint> endpoints) override;
  void on_endpoint_changes(EndpointChanges changes) override;
  void on_discovery_failed(std::string_view source, std::string_view why) override;
  void tell();

  PrefillerAllowlist& allowlist_;
  SystemResolver resolver_;
  std::unique_ptr<KubeSession> kube_;
  std::unique_ptr<Discovery> discovery_;
  std::string source_;
};

}  // namespace kvasir
