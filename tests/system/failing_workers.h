// A `kvasir gateway` as a process in front of small workers that fail as they are told, all of them
// on the test's loop.
#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/http/http_client.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "supervise/process.h"

namespace kvasir {

// HTTP/1.1 on raw sockets: it may close a connection whenever it likes.
class FailingWorker final : public IoHandler {
 public:
  explicit FailingWorker(EventLoop& loop);
  ~FailingWorker() override;
  FailingWorker(const FailingWorker&) = delete;
  FailingWorker& operator=(const FailingWorker&) = delete;

  HostPort origin() const { return {"127.0.0.1", port_}; }
  // From now on every connection that is open is closed when the next request comes over it.
  void forget_connections();
  // Answers what it holds, and holds no more.
  void let_go();
  size_t held() const { return held_.size(); }
  void on_io(uint32_t events) override;

  // How a request is answered: 200, unless...
  bool fails = false;       // 500
  bool is_full = false;     // 429
  std::optional<std::string> fails_with;  // 200, with this body
  bool holds = false;       // not before let_go()
  Duration answer_delay{};  // of a good answer
  Duration health_delay{};  // of GET /health
  // ... its body holds "poison": then the connection is closed.

  int requests = 0;                     // POSTs that were answered with 200
  int failed = 0;                       // ... with an error
  std::multiset<std::string> poisoned;  // bodies of the poison that came

 private:
  struct Connection;
  void on_request(Connection& connection, const std::string& path, const std::string& body);
  void say_later(Connection& connection, Duration delay, std::string text);
  void drop(uint64_t id);

  EventLoop& loop_;
  Descriptor listener_;
  const uint16_t port_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::set<uint64_t> held_;
};

class RunningGateway {
 public:
  // `flags` come after --worker-urls and --port.
  RunningGateway(EventLoop& loop, const std::vector<HostPort>& workers,
                 std::vector<std::string> flags);
  ~RunningGateway();

  // Answers by status; 0: none. 200 of GET /health, for one.
  struct Reply {
    int status = 0;
    std::string body;
    std::string endpoint;
    bool over = false;
  };
  // Starts a request and does not wait.
  std::shared_ptr<Reply> begin(const std::string& body);
  // Sends so many, no more than `at_once` at one time; how many got which status.
  std::map<int, int> send(int count, int at_once, const std::string& body);
  Reply get(const std::string& path);
  double metric(const std::string& name);
  bool wait_until_healthy(size_t workers);
  bool wait_until(const std::function<bool()>& holds, Duration patience = std::chrono::seconds(60));
  std::string log() const;

 private:
  class Call;
  std::shared_ptr<Reply> start(const std::string& head, const std::string& body);

  EventLoop& loop_;
  const HostPort origin_;
  const std::filesystem::path log_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<HttpClient> client_;
  std::list<std::unique_ptr<Call>> calls_;
};

}  // namespace kvasir
