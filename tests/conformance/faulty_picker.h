// A small endpoint picker that follows the protocol in everything, but for one fault that it is
// told to commit.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/grpc/grpc_server.h"
#include "wire/ext_proc/ext_proc.h"

namespace kvasir {

enum class Fault : uint8_t {
  kNone,
  kHeaderMissing,
  kMetadataMissing,
  kMetadataOtherNamespace,
  kMetadataOtherValue,
  kHostName,         // instead of an address
  kForeignEndpoint,  // picks outside the pool
  kRouteCacheKept,
  kClientDestinationPassedOn,
  kPseudoHeaderChanged,
  kBodyBeforeHeaders,
  kHeadersAtOnce,
  kBodyCorrupted,
  kLargeBodyCorrupted,  // only where it is cut in pieces
  kOversizedPieces,
  kEndMissing,
  kEndTwice,
  kWrongContentLength,
  kSubsetIgnored,
  kEmptySubsetIsAny,
  kSubsetNeedsPort,
  kRefusalIsGrpcError,
  kRefusalIs200,
  kReasonMissing,
  kAnyBodyTaken,  // invalid ones too
  kModelNotNeeded,
  kTalksAfterRefusal,
  kBodylessUnanswered,
  kTrailersDoNotEnd,
  kResponseHeadersLate,
  kResponsePieceSwallowed,
  kResponseEndLost,
  kResponseChanged,
  kResponseTrailersUnanswered,
  kBufferedIgnored,
  kHeadersRequired,  // an exchange that begins with the body is refused
  kExchangesMixed,
  kGarbageEndsAll,
  kGarbageIgnored,
  kSickAfterGarbage,
  kClosesAfterDecision,        // with OK: no fault, but there is nothing to check of responses
  kClosesAfterDecisionBadly,   // with an error
  kClosesAfterResponseHeaders,  // with OK, but too late
  kNobodyIsGrpcError,           // of a pool without endpoints, here and below
  kNobodyIsPicked,
};

class FaultyPicker final : public GrpcService {
 public:
  FaultyPicker(std::vector<std::string> pool, Fault fault)
      : pool_(std::move(pool)), fault_(fault) {}

  void on_call(GrpcCall& call) override;
  bool healthy() const { return healthy_; }

 private:
  class ScriptedExchange;
  friend class ScriptedExchange;
  // The next endpoint in turn that the subset allows; empty: there is none.
  std::string pick(const ExtProcMetadata& metadata);
  bool commits(Fault fault) const { return fault_ == fault; }

  const std::vector<std::string> pool_;
  const Fault fault_;
  size_t turn_ = 0;
  bool healthy_ = true;
  std::string shared_body_;  // of kExchangesMixed
  std::set<ScriptedExchange*> open_;
};

}  // namespace kvasir
