// The first half of an exchange: a client's request goes to the picker, its decision comes back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conformance/scripted_exchange.h"

namespace kvasir {

inline constexpr char kDestinationHeader[] = "x-gateway-destination-endpoint";

// A header whose text is kept.
struct OwnedHeader {
  std::string key;
  std::string value;
};

// A client's request, and how it reaches the picker.
struct RequestScript {
  std::vector<OwnedHeader> headers;
  std::string body;
  size_t chunk_bytes = 0;          // 0: the body in one message
  bool ended_by_trailers = false;  // no body message says end_of_stream; trailers follow
  ExtProcContext context;          // of every message of the request
};

// A small completion request for the subject's model and path, unlike any other of this run.
RequestScript completion(Subject& subject, bool stream = true);
// The same with these bytes as its body.
RequestScript request_of(Subject& subject, std::string body);

// What came back for it.
struct RequestPhase {
  std::vector<ReceivedPtr> answers;  // all, in order; they hold what the pointers below point to
  const ExtProcAnswer* headers = nullptr;  // the first answer to the request headers
  const ExtProcAnswer* immediate = nullptr;
  std::string body;  // the streamed pieces, joined
  size_t largest_piece = 0;
  bool body_before_headers = false;
  size_t ends = 0;  // pieces that say end_of_stream
  bool bytes_after_end = false;
  std::string trouble;  // why it is incomplete

  std::optional<std::string> header_pick() const;
  // dynamic_metadata["envoy.lb"]["x-gateway-destination-endpoint"], of any answer of this phase
  std::optional<std::string> metadata_pick() const;
  // The header's, else the metadata's.
  std::optional<std::string> pick() const;
  // What it was instead of a pick.
  std::string instead() const;
  void take(const ReceivedPtr& received);
};

void send_request(ScriptedExchange& exchange, const RequestScript& script);
// Takes answers until the decision and the whole body are there, or the exchange ends.
RequestPhase take_request_phase(ScriptedExchange& exchange, const RequestScript& script);
// Both.
RequestPhase ask(ScriptedExchange& exchange, const RequestScript& script);
RequestPhase ask(Subject& subject, const RequestScript& script);

// The members of "ip:port,ip:port".
std::vector<std::string> split_picks(const std::string& picks);
// Whether it is ip:port, an IPv6 address in brackets.
bool is_ip_and_port(const std::string& text);

}  // namespace kvasir
