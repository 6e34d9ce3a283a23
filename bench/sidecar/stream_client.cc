// stream_client PORT BODY_FILE FIELDS RATE WARM_UP SECONDS: opens RATE streams a second, whatever
// became of the others (open loop), and measures those of the SECONDS after WARM_UP: from when a
// stream was due until its first byte. FIELDS: header lines, "\n" between them. Prints one line,
// RESULT and JSON.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "net/http/http_client.h"
#include "net/io/event_loop.h"
#include "net/io/socket_address.h"

namespace kvasir {
namespace {

constexpr size_t kIdleMost = 16384;

struct Plan {
  std::string head;
  std::string body;
  double rate = 0;
  Duration warm_up{}, measured{};
};

class Load {
 public:
  Load(EventLoop& loop, HttpClient& client, const Plan& plan)
      : loop_(loop), client_(client), plan_(plan), begun_(loop.clock().now()) {
    open_due();
  }

  struct Stream final : HttpCallObserver {
    Stream(Load& owner, TimePoint when) : load(owner), due(when) {}
    void on_head(const HttpHead& head) override { status = head.status(); }
    void on_body(std::string_view) override {
      if (!heard) load.first_byte(*this);
      heard = true;
    }
    void on_end() override { load.ended(*this, status == 200 && heard); }
    void on_failure(const HttpFailure&) override { load.ended(*this, false); }
    Load& load;
    const TimePoint due;
    int status = 0;
    bool heard = false;
  };

 private:
  void open_due() {
    const TimePoint now = loop_.clock().now();
    const Duration whole = plan_.warm_up + plan_.measured;
    for (;; ++opened_) {
      const Duration at = from_seconds(static_cast<double>(opened_) / plan_.rate);
      if (at >= whole) {
        all_opened_ = true;
        break;
      }
      if (begun_ + at > now) break;
      auto* stream = new Stream(*this, begun_ + at);
      ++open_;
      open_most_ = std::max(open_most_, open_);
      client_.start(plan_.head, plan_.body, *stream);
    }
    if (all_opened_) return;
    loop_.after(std::chrono::milliseconds(1), [this] { open_due(); });
  }

  void first_byte(const Stream& stream) {
    if (stream.due < begun_ + plan_.warm_up) return;
    times_.push_back(to_milliseconds(loop_.clock().now() - stream.due));
  }

  void ended(Stream& stream, bool whole) {
    if (!whole) ++failed_;
    --open_;
    loop_.defer([&stream] { delete &stream; });
    if (all_opened_ && open_ == 0) loop_.stop();
  }

 public:
  void print() {
    std::sort(times_.begin(), times_.end());
    const auto at = [&](double share) {
      return times_.empty()
                 ? 0.0
                 : times_[static_cast<size_t>(share * static_cast<double>(times_.size() - 1))];
    };
    std::printf(
        "RESULT {\"streams\":%zu,\"open_most\":%zu,\"failed\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"p999_ms\":%.3f}\n",
        times_.size(), open_most_, failed_, at(0.5), at(0.99), at(0.999));
  }

 private:
  EventLoop& loop_;
  HttpClient& client_;
  const Plan& plan_;
  const TimePoint begun_;
  uint64_t opened_ = 0;
  size_t open_ = 0, open_most_ = 0, failed_ = 0;
  bool all_opened_ = false;
  std::vector<double> times_;
};

std::string with_line_ends(std::string fields) {
  std::string lines;
  std::istringstream stream(std::move(fields));
  for (std::string line; std::getline(stream, line);) lines.append(line).append("\r\n");
  return lines;
}

int run(char** arguments) {
  std::ifstream file(arguments[2]);
  Plan plan;
  if (!std::getline(file, plan.body)) {
    std::fprintf(stderr, "stream_client: %s: no line\n", arguments[2]);
    return 1;
  }
  plan.head = "POST /v1/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n";
  plan.head += "Content-Length: " + std::to_string(plan.body.size()) + "\r\n" +
               with_line_ends(arguments[3]) + "\r\n";
  plan.rate = std::atof(arguments[4]);
  plan.warm_up = from_seconds(std::atof(arguments[5]));
  plan.measured = from_seconds(std::atof(arguments[6]));
  auto loop = EventLoop::create();
  if (!loop) return 1;
  const SocketAddress address =
      with_port(*literal_address("127.0.0.1"), static_cast<uint16_t>(std::atoi(arguments[1])));
  HttpClientLimits limits;
  limits.idle_connections = kIdleMost;
  HttpClient client(**loop, address, limits);
  Load load(**loop, client, plan);
  (*loop)->run();
  load.print();
  return 0;
}

}  // namespace
}  // namespace kvasir

int main(int count, char** arguments) {
  if (count == 7) return kvasir::run(arguments);
  std::fprintf(stderr, "usage: stream_client PORT BODY_FILE FIELDS RATE WARM_UP SECONDS\n");
  return 2;
}
