// Where the members of one Service are, from its EndpointSlices in the store: how the replicas of a
// program find each other.
//
// Members count whether they are ready or not, and until they are gone: a standby is not ready, and
// one that stops still has something to say. Lives on the store's thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kube/object_store.h"

namespace kvasir {

class ServiceAddresses final : private ObjectStoreListener {
 public:
  // IPv4 and IPv6 literals, each once, in their order.
  using Changed = std::function<void(const std::vector<std::string>& addresses)>;

  // `changed` is called when others are there than before, never from here: see addresses().
  ServiceAddresses(ObjectStore& store, std::string name_space, std::string service,
                   Changed changed);
  ~ServiceAddresses() override;
  ServiceAddresses(const ServiceAddresses&) = delete;
  ServiceAddresses& operator=(const ServiceAddresses&) = delete;

  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  void on_change(const ObjectChange& change) override;
  void on_batch_end() override;
  std::vector<std::string> found() const;

  ObjectStore& store_;
  const std::string name_space_;
  const std::string service_;
  const Changed changed_;
  std::vector<std::string> addresses_;
  bool stale_ = false;
};

}  // namespace kvasir
