// What it costs to scrape a large fleet: a child process serves one recorded page of vLLM on many
// ports, this one scrapes them all once a second as the gateway does, and its CPU time is told.
//
//   scrape_bench PAGE [--endpoints 1000] [--seconds 20] [--interval 1] [--check]
//
// --check: fails at a quarter of a core or more, or when rounds were missed.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "config/config_rules.h"
#include "config/read_scrape_plan.h"
#include "feeds/metrics_scraper.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

constexpr double kCoresMost = 0.25;

struct Arguments {
  std::string page;
  size_t endpoints = 1000;
  double seconds = 20;
  double interval = 1;
  bool check = false;
};

class PageHandler final : public HttpHandler {
 public:
  explicit PageHandler(const std::string& page) : page_(page) {}
  void on_request(HttpExchange& exchange) override {
    exchange.respond(200, "Content-Type: text/plain; version=1.0.0; charset=utf-8\r\n", page_);
  }
  Refusal on_refused(int, std::string_view) override { return {}; }

 private:
  const std::string& page_;
};

// Never returns.
[[noreturn]] void serve(std::vector<Descriptor> listeners, const std::string& page) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto loop = EventLoop::create();
  if (!loop) _exit(1);
  PageHandler handler(page);
  std::vector<std::unique_ptr<HttpServer>> servers;
  for (Descriptor& listener : listeners) {
    servers.push_back(std::make_unique<HttpServer>(**loop, std::move(listener), handler));
  }
  (*loop)->run();
  _exit(0);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Measured {
  double cores = 0;
  double wall = 0;
  ScrapeCounts counts;
};

Result<Measured> run(const Arguments& arguments) {
  std::ifstream file(arguments.page, std::ios::binary);
  if (!file) return Error{"cannot read " + arguments.page};
  std::ostringstream text;
  text << file.rdbuf();
  const std::string page = text.str();
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);

  std::vector<Descriptor> listeners;
  std::vector<Endpoint> endpoints;
  for (size_t i = 0; i < arguments.endpoints; ++i) {
    Result<Descriptor> listener = listen_tcp("127.0.0.1", 0, false);
    if (!listener) return listener.error();
    const uint16_t port = local_port(*listener);
    endpoints.push_back({"127.0.0.1:" + std::to_string(port), "127.0.0.1", port});
    listeners.push_back(std::move(*listener));
  }
  const pid_t server = fork();
  if (server < 0) return Error{"cannot fork"};
  if (server == 0) serve(std::move(listeners), page);
  listeners.clear();

  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return loop.error();
  Fleet fleet(std::move(endpoints));
  ScrapeProbe probe;
  const AddressBook addresses;
  const SteadyClock clock;
  ScrapePlan plan = make_scrape_plan(default_endpoint_picker_config(), Registry(),
                                     from_seconds(arguments.interval))
                        .value();
  MetricsScraper scraper(**loop, fleet, addresses, probe, clock, std::move(plan));
  Measured result;
  ScrapeCounts counts_before;
  double cpu_before = 0;
  TimePoint begin{};
  // Connections are made and the first pages read before the measurement begins.
  (*loop)->after(from_seconds(2.5 * arguments.interval), [&] {
    counts_before = scraper.counts(0);
    cpu_before = cpu_seconds();
    begin = clock.now();
    (*loop)->after(from_seconds(arguments.seconds), [&] { (*loop)->stop(); });
  });
  (*loop)->run();
  result.wall = to_seconds(clock.now() - begin);
  result.cores = (cpu_seconds() - cpu_before) / result.wall;
  result.counts = scraper.counts(0);
  result.counts.pages -= counts_before.pages;
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  return result;
}

int main_of(const Arguments& arguments) {
  const Result<Measured> measured = run(arguments);
  if (!measured) {
    std::fprintf(stderr, "scrape_bench: %s\n", measured.error().message.c_str());
    return 1;
  }
  const double pages = static_cast<double>(measured->counts.pages);
  std::printf("endpoints %zu, interval %g s, %.1f s: %.0f pages, %llu errors\n",
              arguments.endpoints, arguments.interval, measured->wall, pages,
              static_cast<unsigned long long>(measured->counts.poll_errors +
                                              measured->counts.extract_errors));
  std::printf("cores used %.3f, %.2f us a page\n", measured->cores,
              1e6 * measured->cores * measured->wall / pages);
  if (!arguments.check) return 0;
  const double wanted =
      static_cast<double>(arguments.endpoints) * measured->wall / arguments.interval;
  const bool complete = pages > 0.9 * wanted;
  const bool cheap = measured->cores < kCoresMost;
  if (!complete)
    std::printf("FAILED: %.0f pages are too few, about %.0f were due\n", pages, wanted);
  if (!cheap) std::printf("FAILED: at most %.2f cores are allowed\n", kCoresMost);
  return complete && cheap ? 0 : 1;
}

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  kvasir::Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool more = i + 1 < argc;
    if (argument == "--check") {
      arguments.check = true;
    } else if (argument == "--endpoints" && more) {
      arguments.endpoints = std::strtoul(argv[++i], nullptr, 10);
    } else if (argument == "--seconds" && more) {
      arguments.seconds = std::strtod(argv[++i], nullptr);
    } else if (argument == "--interval" && more) {
      arguments.interval = std::strtod(argv[++i], nullptr);
    } else {
      arguments.page = argument;
    }
  }
  if (arguments.page.empty() || arguments.endpoints == 0 || arguments.seconds <= 0 ||
      arguments.interval <= 0) {
    std::fprintf(
        stderr,
        "usage: scrape_bench PAGE [--endpoints N] [--seconds S] [--interval S] [--check]\n");
    return 2;
  }
  return kvasir::main_of(arguments);
}
