// A page of the sidecar's own that asks the decoder first. Private to sidecar/.
#pragma once

#include <string>
#include <string_view>

#include "base/executor.h"
#include "net/http/http_call.h"
#include "net/http/http_exchange.h"
#include "net/io/socket.h"

namespace kvasir {

class HttpClient;
class SidecarThread;

// Owns itself: it is deleted when the page is answered or its client has left.
class OwnPage final : private HttpCallObserver, private HttpExchange::Observer {
 public:
  enum class Kind : uint8_t {
    kMetrics,  // the decoder's page as it is, then ours; without an answer of it ours alone
    kReady,    // 200 when the decoder's /health is; else 503, and why
  };
  // `address`: of the decoder, for requests and errors.
  OwnPage(SidecarThread& thread, HttpExchange& exchange, HttpClient& decoder,
          const HostPort& address, Kind kind);
  ~OwnPage() override;

 private:
  void on_head(const HttpHead& head) override { head_ = head; }
  void on_body(std::string_view bytes) override;
  void on_end() override { answer(""); }
  void on_failure(const HttpFailure& failure) override;
  void on_client_gone() override;

  // `problem`: why there is no answer of the decoder; empty: there is.
  void answer(const std::string& problem);
  void answer_metrics(std::string problem);
  void answer_ready(std::string problem);

  SidecarThread& thread_;
  HttpExchange& exchange_;
  const std::string decoder_;
  const Kind kind_;
  std::string request_;
  HttpHead head_;
  std::string body_;
  HttpCall* call_ = nullptr;
  TimerId deadline_ = kNoTimer;
};

}  // namespace kvasir
