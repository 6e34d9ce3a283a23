// A worker or gateway for the tests of supervise/: takes the real command line, answers GET
// /health, and does what its further flags say.
//   --die 1            writes two lines and exits with status 3 instead of starting
//   --deaf 1           listens, but answers 503
//   --stubborn 1       ignores SIGTERM
//   --policy unknown   like --die, for the gateway, which gets no other flag
// What the variable FAKE_SAYS holds goes into its log.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace {

class Health final : public kvasir::HttpHandler {
 public:
  explicit Health(int status) : status_(status) {}
  void on_request(kvasir::HttpExchange& exchange) override { exchange.respond(status_, "", ""); }
  Refusal on_refused(int, std::string_view) override { return {}; }

 private:
  const int status_;
};

std::map<std::string, std::string> read_flags(int count, char** words) {
  std::map<std::string, std::string> flags;
  for (int i = 2; i < count; ++i) {
    const std::string word = words[i];
    const size_t equals = word.find('=');
    if (equals != std::string::npos) {
      flags[word.substr(0, equals)] = word.substr(equals + 1);
    } else if (i + 1 < count) {
      flags[word] = words[++i];
    }
  }
  return flags;
}

}  // namespace

int main(int count, char** words) {
  auto flags = read_flags(count, words);
  if (flags.count("--die") || flags["--policy"] == "unknown") {
    std::fputs("reading the profile\nno such profile: banana\n", stderr);
    return 3;
  }
  if (const char* said = std::getenv("FAKE_SAYS")) std::fprintf(stderr, "%s\n", said);
  if (flags.count("--stubborn")) std::signal(SIGTERM, SIG_IGN);
  auto listener =
      kvasir::listen_tcp(flags["--host"], static_cast<uint16_t>(std::stoi(flags["--port"])), true);
  if (!listener) {
    std::fprintf(stderr, "%s\n", listener.error().message.c_str());
    return 1;
  }
  auto loop = kvasir::EventLoop::create();
  Health health(flags.count("--deaf") ? 503 : 200);
  kvasir::HttpServer server(**loop, std::move(*listener), health);
  std::fprintf(stderr, "%s serves\n", words[1]);
  (*loop)->run();
}
