// What `kvasir controller` does while it runs: follows Gateway API objects in files, and keeps the
// folder of an Envoy that is to carry requests by them. Lives on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apps/envoy_folder.h"
#include "base/executor.h"
#include "kube/manifest_watch.h"
#include "kube/object_store.h"

namespace kvasir {

class EventLoop;

struct ControllerFlags {
  std::vector<std::string> paths;
  std::string out;
  std::vector<std::string> classes;  // of Gateways that count; empty: all
  std::string name_space = "default";
  bool once = false;
  EnvoyOptions envoy;
};

class ControllerSession final : private ObjectStoreListener {
 public:
  // The folder is written when this returns. An Error has every problem of the files, or says why
  // the folder cannot be written. `loop` must outlive it.
  static Result<std::unique_ptr<ControllerSession>> open(EventLoop& loop,
                                                         const ControllerFlags& flags);
  ~ControllerSession() override;
  ControllerSession(const ControllerSession&) = delete;
  ControllerSession& operator=(const ControllerSession&) = delete;

  size_t routes() const { return routes_; }

 private:
  ControllerSession(EventLoop& loop, const ControllerFlags& flags, EnvoyFolder folder);
  void on_change(const ObjectChange&) override { stale_ = true; }
  void on_batch_end() override;
  Result<size_t> write();
  void tell_once(std::set<std::string> wrong);
  void drop_old_later();

  EventLoop& loop_;
  const ControllerFlags flags_;
  EnvoyFolder folder_;
  ObjectStore store_;
  std::unique_ptr<ManifestWatch> watch_;
  TimerId drop_ = kNoTimer;
  size_t routes_ = 0;
  bool stale_ = false;
  std::set<std::string> told_;  // what does not hold
};

}  // namespace kvasir
