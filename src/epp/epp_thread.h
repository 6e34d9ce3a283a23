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

#include "base/random.h"
#include "epp/epp_options.h"
#include "epp/probe.h"
#include "epp/replica_receiver.h"
#include "net/grpc/grpc_server.h"
#include "scheduling/decision_trace.h"
#include "serving/remote_scores.h"
#include "wire/ext_proc/ext_proc.h"
#include "wire/ext_proc/ext_proc_response.h"

namespace kvasir {

class Admission;
class Epp;
class EventLoop;
class Exchange;
class GrpcHealthService;
class OutlierEjection;
class RequestParsers;
class Scheduler;
class TokenEstimator;

class EppThread final : public GrpcService {
 public:
  EppThread(Epp& epp, EventLoop& loop, Descriptor listener, GrpcHealthService& health,
            uint32_t index);
  ~EppThread() override;

  void on_call(GrpcCall& call) override;
  void drain(std::function<void()> drained);
  EventLoop& loop() { return loop_; }

  // For the exchanges.
  const EppOptions& options() const;
  EppProbe& probe();
  Scheduler& scheduler();
  Admission& admission();
  TokenEstimator& estimator();
  std::shared_ptr<const Snapshot> snapshot() const;
  TimePoint now() const { return loop_.clock().now(); }
  std::shared_ptr<const RequestParsers> parsers();
  OutlierEjection* outliers();  // null: nobody is ejected
  // A request got an answer there.
  void report_served(EndpointId endpoint);
  // Null: nobody is to be asked before a request is scheduled.
  std::shared_ptr<const std::vector<RemoteService>> remote_services();
  RemoteScoreFetcher& remote_scores() { return remote_scores_; }
  RequestId next_request_id() { return (++requests_ << 8) | index_; }
  std::string new_request_id();
  std::optional<EndpointId> any_endpoint(const std::optional<std::vector<std::string>>& subset);
  // Whether somebody wants to see how requests are answered.
  bool needs_answers() const;
  // What the client is told with the answer.
  // `served`: HOST:PORT of the endpoint that answers, as the gateway says; empty: it does not.
  AnswerFields answer_fields(const Endpoint& endpoint, const Decision& decision,
                             Duration scheduling, std::string_view served);
  // A trace to write one decision into, and back.
  std::unique_ptr<DecisionTrace> take_trace();
  void give_trace(std::unique_ptr<DecisionTrace> trace);
  // Room for bodies of requests; false: there is none left.
  bool take_body_bytes(size_t bytes);
  void release_body_bytes(size_t bytes);
  void remove(Exchange& exchange);

  // Used again and again; the content is lost when a message has been handled.
  ExtProcRequest& request() { return request_; }
  std::string& message() { return message_; }
  ExtProcHeadersAnswer& headers_answer();

 private:
  Epp& epp_;
  EventLoop& loop_;
  const uint32_t index_;
  RemoteScoreFetcher remote_scores_;
  Random random_;
  uint64_t requests_ = 0;
  std::shared_ptr<const RequestParsers> parsers_;  // of that version of the configuration
  uint64_t parsers_version_ = 0;
  ExtProcRequest request_;
  std::string message_;
  std::vector<std::unique_ptr<DecisionTrace>> traces_;
  std::vector<EndpointId> allowed_;  // scratch of any_endpoint()
  ExtProcHeadersAnswer headers_answer_;
  std::unordered_set<Exchange*> exchanges_;
  std::unique_ptr<ReplicaReceiver> replicas_;  // null: nothing is shared
  GrpcServer server_;                          // last: its calls use all of the above
};

}  // namespace kvasir
