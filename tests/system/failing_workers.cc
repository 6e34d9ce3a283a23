#include "failing_workers.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/assert.h"
#include "leased_port.h"
#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

std::string answer(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace

struct FailingWorker::Connection final : IoHandler {
  Connection(FailingWorker& owner, uint64_t number, Descriptor taken)
      : worker(owner), id(number), socket(std::move(taken)) {
    worker.loop_.watch(socket.get(), EPOLLIN, *this);
  }
  ~Connection() override { worker.loop_.unwatch(socket.get(), *this); }

  void on_io(uint32_t) override {
    char buffer[65536];
    const ssize_t count = recv(socket.get(), buffer, sizeof buffer, 0);
    if (count <= 0 || stale) return worker.drop(id);
    input.append(buffer, static_cast<size_t>(count));
    const size_t head_end = input.find("\r\n\r\n");
    if (head_end == std::string::npos) return;
    size_t length = 0;
    if (const size_t at = input.find("Content-Length: "); at < head_end) {
      length = static_cast<size_t>(std::atol(input.c_str() + at + 16));
    }
    if (input.size() < head_end + 4 + length) return;
    const size_t path = input.find(' ') + 1;
    const std::string body = input.substr(head_end + 4, length);
    const std::string asked = input.substr(path, input.find(' ', path) - path);
    input.clear();
    worker.on_request(*this, asked, body);  // the last: it may drop this
  }
  void say(const std::string& text) {
    // A client that left hears nothing; the test sees that elsewhere.
    static_cast<void>(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL));
  }

  FailingWorker& worker;
  const uint64_t id;
  Descriptor socket;
  std::string input;
  bool stale = false;
};

FailingWorker::FailingWorker(EventLoop& loop)
    : loop_(loop),
      listener_(listen_tcp("127.0.0.1", 0, false).value()),
      port_(local_port(listener_)) {
  loop_.watch(listener_.get(), EPOLLIN, *this);
}

FailingWorker::~FailingWorker() {
  loop_.unwatch(listener_.get(), *this);
}

void FailingWorker::on_io(uint32_t) {
  Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.open()) return;
  const uint64_t id = ++last_id_;
  connections_.emplace(id, std::make_unique<Connection>(*this, id, std::move(socket)));
}

void FailingWorker::forget_connections() {
  for (auto& [id, connection] : connections_) connection->stale = true;
}

void FailingWorker::drop(uint64_t id) {
  held_.erase(id);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const std::shared_ptr<Connection> gone = std::move(found->second);  // it may be on the call stack
  connections_.erase(found);
  ::shutdown(gone->socket.get(), SHUT_RDWR);
  loop_.defer([gone] {});
}

void FailingWorker::on_request(Connection& connection, const std::string& path,
                               const std::string& body) {
  if (path == "/metrics") return connection.say(answer(200, ""));
  if (path == "/health") return say_later(connection, health_delay, answer(200, ""));
  if (body.find("poison") != std::string::npos) {
    poisoned.insert(body);
    return drop(connection.id);
  }
  if (fails) {
    ++failed;
    return connection.say(answer(500, "{\"error\": \"out of order\"}"));
  }
  if (is_full) {
    ++failed;
    return connection.say(answer(429, "{\"error\": \"too many requests\"}"));
  }
  if (fails_with) {
    ++failed;
    return connection.say(answer(200, *fails_with));
  }
  if (holds) {
    held_.insert(connection.id);
    return;
  }
  ++requests;
  say_later(connection, answer_delay, answer(200, "{\"choices\": []}"));
}

void FailingWorker::say_later(Connection& connection, Duration delay, std::string text) {
  if (delay == Duration::zero()) return connection.say(text);
  loop_.after(delay, [this, id = connection.id, text = std::move(text)] {
    const auto found = connections_.find(id);
    if (found != connections_.end()) found->second->say(text);
  });
}

void FailingWorker::let_go() {
  holds = false;
  for (const uint64_t id : std::exchange(held_, {})) {
    ++requests;
    connections_.at(id)->say(answer(200, "{\"choices\": []}"));
  }
}

// One request of the test, and what came of it.
class RunningGateway::Call final : public HttpCallObserver {
 public:
  Call(std::string head, std::string body)
      : head_(std::move(head)), body_(std::move(body)), reply(std::make_shared<Reply>()) {}
  void start(HttpClient& client) { client.start(head_, body_, *this); }
  void on_head(const HttpHead& head) override {
    reply->status = head.status();
    reply->endpoint = head.find("x-selected-pod").value_or("");
  }
  void on_body(std::string_view bytes) override { reply->body += bytes; }
  void on_end() override { reply->over = true; }
  void on_failure(const HttpFailure&) override {
    reply->status = 0;
    reply->over = true;
  }

 private:
  const std::string head_, body_;

 public:
  const std::shared_ptr<Reply> reply;
};

RunningGateway::RunningGateway(EventLoop& loop, const std::vector<HostPort>& workers,
                               std::vector<std::string> flags)
    : loop_(loop),
      origin_{"127.0.0.1", leased_port()},
      log_(std::filesystem::temp_directory_path() /
           ("gateway-" + std::to_string(getpid()) + ".log")) {
  const char* binary = std::getenv("KVASIR_BINARY");
  KVASIR_ASSERT(binary != nullptr, "ctest sets KVASIR_BINARY");
  std::string urls;
  for (const HostPort& worker : workers)
    urls += (urls.empty() ? "http://" : ",http://") + to_string(worker);
  Process::Command command;
  command.binary = binary;
  command.arguments = {"gateway", "--worker-urls", urls, "--port", std::to_string(origin_.port)};
  command.arguments.insert(command.arguments.end(), flags.begin(), flags.end());
  std::filesystem::remove(log_);
  command.log_file = log_;
  process_ = std::move(Process::start(loop, command, [](const std::string&) {}).value());
  client_ = std::make_unique<HttpClient>(loop, resolve(origin_.host, origin_.port).value());
}

RunningGateway::~RunningGateway() {
  client_.reset();
  process_.reset();
  std::filesystem::remove(log_);
}

std::shared_ptr<RunningGateway::Reply> RunningGateway::start(const std::string& head,
                                                             const std::string& body) {
  calls_.remove_if([](const auto& call) { return call->reply->over; });
  calls_.push_back(std::make_unique<Call>(head, body));
  calls_.back()->start(*client_);
  return calls_.back()->reply;
}

std::shared_ptr<RunningGateway::Reply> RunningGateway::begin(const std::string& body) {
  return start(
      "POST /v1/completions HTTP/1.1\r\nHost: g\r\nContent-Type: "
      "application/json\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n",
      body);
}

std::map<int, int> RunningGateway::send(int count, int at_once, const std::string& body) {
  std::map<int, int> statuses;
  std::list<std::shared_ptr<Reply>> open;
  wait_until([&] {
    open.remove_if([&](const auto& reply) {
      if (reply->over) ++statuses[reply->status];
      return reply->over;
    });
    for (; count > 0 && static_cast<int>(open.size()) < at_once; --count)
      open.push_back(begin(body));
    return count == 0 && open.empty();
  });
  for (size_t i = 0; i < open.size(); ++i) ++statuses[-1];  // not answered in time
  return statuses;
}

RunningGateway::Reply RunningGateway::get(const std::string& path) {
  const auto reply = start("GET " + path + " HTTP/1.1\r\nHost: g\r\n\r\n", "");
  wait_until([&] { return reply->over; });
  return *reply;
}

double RunningGateway::metric(const std::string& name) {
  return sum_metric(get("/metrics").body, name).value_or(-1);
}

bool RunningGateway::wait_until_healthy(size_t workers) {
  return wait_until([&] {
    return get("/health").status == 200 &&
           metric("kvasir_gateway_upstream_healthy") == static_cast<double>(workers);
  });
}

bool RunningGateway::wait_until(const std::function<bool()>& holds, Duration patience) {
  const TimePoint deadline = SteadyClock().now() + patience;
  while (!holds()) {
    if (SteadyClock().now() >= deadline) return false;
    loop_.after(std::chrono::milliseconds(1), [this] { loop_.stop(); });
    loop_.run();
  }
  return true;
}

std::string RunningGateway::log() const {
  std::ifstream file(log_);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace kvasir
