// The Kubernetes API over HTTP/1.1 and TLS on one loop: plain requests, and watches that never end
// by themselves.
//
// Credentials are renewed behind it: a token file is read again every minute and after a 401; a
// program is asked again when its token has expired, and after a 401; files of certificates are
// read again every minute and when no connection can be made. A request that got a 401 is sent once
// more when there is another token. Everything happens on the loop's thread. No token ever reaches
// a log or an Error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "kube/kube_config.h"
#include "wire/kube/kube_reader.h"

namespace kvasir {

class EventLoop;
class Resolver;

struct KubeClientLimits {
  Duration connect_timeout = std::chrono::seconds(5);
  Duration answer_timeout = std::chrono::seconds(60);  // of a request that is no watch, whole
  Duration watch_idle_timeout =
      std::chrono::seconds(400);  // without a byte: the server ends a watch after 300 s at most
  size_t answer_bytes_max = 64 * 1024 * 1024;  // of one answer, or of one event of a watch
  size_t requests_max = 64;   // under way at once, watches aside; more wait their turn
  size_t waiting_max = 1024;  // more fail at once
  size_t watches_max = 256;   // under way at once; more fail at once
  Duration token_reread = std::chrono::minutes(1);  // of other files, and the server's name too
  Duration exec_timeout = std::chrono::seconds(30);
  size_t exec_output_bytes_max = 1024 * 1024;
};

// How a request ended. `http_status` 0: it did not come to an answer, and `status.message` says
// why.
struct KubeAnswer {
  int http_status = 0;
  KubeStatus status;  // filled unless http_status is 2xx
  std::string body;
  std::string warning;  // the Warning field of the answer, without its code

  bool ok() const { return http_status >= 200 && http_status < 300; }
};

struct KubeRequest {
  std::string_view method;  // GET, POST, PUT, PATCH, DELETE
  std::string target;       // path and query, percent-encoded
  std::string body = {};
  std::string_view content_type = "application/json";
};
inline constexpr std::string_view kApplyPatch =
    "application/apply-patch+yaml";  // server-side apply; JSON is YAML
inline constexpr std::string_view kMergePatch = "application/merge-patch+json";

// Told of a watch's lines. Exactly one on_end() comes last, unless the call is given up.
class KubeWatchObserver {
 public:
  virtual ~KubeWatchObserver() = default;
  // One event as JSON, without its line feed; valid during the call.
  virtual void on_line(std::string_view json) = 0;
  // The server ended it (ok() and empty), or why there was no watch.
  virtual void on_end(const KubeAnswer& answer) = 0;
};

// Gives the request up when it is destroyed. Must not outlive the client.
class KubeCall {
 public:
  virtual ~KubeCall() = default;
};

// What the parts of kube/ ask the server through; tests have one of their own.
class KubeApi {
 public:
  virtual ~KubeApi() = default;
  // `done` is called once, later, unless the call was given up.
  [[nodiscard]] virtual std::unique_ptr<KubeCall> start(KubeRequest request,
                                                        std::function<void(KubeAnswer)> done) = 0;
  [[nodiscard]] virtual std::unique_ptr<KubeCall> watch(std::string target,
                                                        KubeWatchObserver& observer) = 0;
};

class KubeClient final : public KubeApi {
 public:
  // Fails when what the configuration names cannot be read. `loop` and `resolver` must outlive it.
  // It is not to be destroyed from one of its calls.
  static Result<std::unique_ptr<KubeClient>> create(EventLoop& loop, Resolver& resolver,
                                                    KubeConfig config,
                                                    KubeClientLimits limits = {});
  ~KubeClient() override;

  std::unique_ptr<KubeCall> start(KubeRequest request,
                                  std::function<void(KubeAnswer)> done) override;
  std::unique_ptr<KubeCall> watch(std::string target, KubeWatchObserver& observer) override;

  const KubeConfig& config() const;

 private:
  class State;
  explicit KubeClient(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
