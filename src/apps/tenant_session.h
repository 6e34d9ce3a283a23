// What `kvasir gateway` has of tenants: the file of keys, which is watched, who may come without
// one, and what workers want to know of the gateway.
//
// Made before the gateway and destroyed after it. Lives on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/guarded.h"
#include "base/result.h"
#include "feeds/file_watch.h"
#include "gateway/gateway_options.h"
#include "tenants/tenant_table.h"

namespace CLI {
class App;
}

namespace kvasir {

class EventLoop;
class Gateway;

struct TenantFlags {
  std::string keys;                         // a file; empty: nobody is asked for one
  bool anonymous = false;                   // that is meant, wherever the gateway listens
  std::string upstream_authorization_file;  // empty: what clients send
  std::string access_log;                   // a file, or - for standard output; empty: none
};

void add_tenant_flags(CLI::App& command, TenantFlags& flags);

// That a gateway which others can reach knows its clients, by keys or certificates, or is told that
// it need not.
Result<void> check_anonymous(const TenantFlags& flags, const GatewayOptions& options);

class TenantSession {
 public:
  // Sets `options` as the files say. An Error has every problem of them. `loop` must outlive it.
  static Result<std::unique_ptr<TenantSession>> open(EventLoop& loop, const TenantFlags& flags,
                                                     GatewayOptions& options);
  TenantSession(const TenantSession&) = delete;
  TenantSession& operator=(const TenantSession&) = delete;

  // From now on `gateway` has each change of the files. `read` is told of each reading.
  void serve(Gateway& gateway, std::function<void(bool used)> read);
  // In use now, for any thread. Null: nobody is asked for a key.
  std::shared_ptr<const TenantTable> tenants() const {
    return tenants_.with([](const auto& now) { return now; });
  }
  // For people: "3 tenants".
  std::string text() const;

 private:
  TenantSession(std::string keys_file, std::string authorization_file)
      : keys_file_(std::move(keys_file)), authorization_file_(std::move(authorization_file)) {}
  void use(std::shared_ptr<const TenantTable> tenants);
  void on_keys(const Result<std::string>& text);
  void on_authorization(const Result<std::string>& text);

  const std::string keys_file_, authorization_file_;
  Guarded<std::shared_ptr<const TenantTable>> tenants_;
  std::unique_ptr<FileWatch> keys_watch_, authorization_watch_;
  Gateway* gateway_ = nullptr;  // null: serve() was not called yet
  std::function<void(bool used)> read_;
};

}  // namespace kvasir
