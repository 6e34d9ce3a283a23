// One thread of the picker: its gRPC server, the exchanges on it, and the buffers they share.
// Private to epp/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "epp/epp_options.h"
#include "epp/probe.h"
#include "net/grpc/grpc_server.h"
#include "net/http/body_budget.h"
#include "replicas/replica_receiver.h"
#include "serving/pool_thread.h"
#include "wire/ext_proc/ext_proc.h"
#include "wire/ext_proc/ext_proc_response.h"

namespace kvasir {

class Epp;
class Exchange;

class EppThread final : public GrpcService {
 public:
  EppThread(Epp& epp, EventLoop& loop, Descriptor listener, uint32_t index);
  ~EppThread() override;

  void on_call(GrpcCall& call) override;
  void drain(std::function<void()> drained);
  EventLoop& loop() { return loop_; }

  // For the exchanges.
  const EppOptions& options() const { return options_; }
  EppProbe& probe() { return probe_; }
  PoolThread& pool_thread() { return pool_thread_; }
  Pool& pool() { return pool_thread_.pool(); }
  TimePoint now() const { return pool_thread_.now(); }
  std::string new_request_id();
  // The endpoints that a gateway's subset hint names, ascending; nullopt: all.
  std::optional<std::vector<EndpointId>> allowed(
      const std::optional<std::vector<std::string>>& subset);
  // Whether somebody wants to see how requests are answered.
  bool needs_answers();
  // Room for bodies of requests; false: there is none left.
  bool take_body_bytes(size_t bytes);
  void release_body_bytes(size_t bytes);
  void remove(Exchange& exchange);

  // Used again and again; the content is lost when a message has been handled.
  ExtProcRequest& request() { return request_; }
  std::string& message() { return message_; }
  ExtProcHeadersAnswer& headers_answer();

 private:
  const EppOptions& options_;
  EppProbe& probe_;
  BodyBudget& bodies_;
  EventLoop& loop_;
  PoolThread pool_thread_;
  ExtProcRequest request_;
  std::string message_;
  ExtProcHeadersAnswer headers_answer_;
  std::unordered_set<Exchange*> exchanges_;
  std::unique_ptr<ReplicaReceiver> replicas_;  // null: nothing is shared
  GrpcServer server_;                          // last: its calls use all of the above
};

}  // namespace kvasir
