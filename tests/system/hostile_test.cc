// What surrounds a program and means no good to it: a log that nobody reads, pipes and devices in
// the place of files, numbers without sense. And what people look for in its log.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>

#include "leased_port.h"
#include "net/io/socket.h"
#include "program.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string get(uint16_t port, const std::string& path) {
  return ask(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

bool comes_to_answer(uint16_t port, const std::string& path) {
  const TimePoint end = SteadyClock().now() + std::chrono::seconds(30);
  while (SteadyClock().now() < end) {
    if (get(port, path).rfind("HTTP/1.1 200", 0) == 0) return true;
    usleep(20'000);
  }
  return false;
}

// A pipe that is full and that nobody reads.
class FullPipe {
 public:
  FullPipe() {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    fcntl(ends_[1], F_SETFL, O_NONBLOCK);
    const std::string filling(1 << 16, '\n');
    for (size_t size = filling.size(); size > 0; size /= 2) {
      while (write(ends_[1], filling.data(), size) > 0) {
      }
    }
    fcntl(ends_[1], F_SETFL, 0);
  }
  ~FullPipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  int writing_end() const { return ends_[1]; }

 private:
  int ends_[2];
};

class Hostile : public testing::Test {
 protected:
  Hostile() {
    std::string name = (fs::temp_directory_path() / "hostile-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~Hostile() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  // Takes the place of what was there, as a ConfigMap's file does.
  void write(const std::string& name, const std::string& text) {
    std::ofstream(path(name + ".new")) << text;
    fs::rename(path(name + ".new"), path(name));
  }
  void replace_by_pipe(const std::string& name) {
    fs::remove(path(name));
    ASSERT_EQ(mkfifo(path(name).c_str(), 0600), 0);
  }

  fs::path folder_;
};

TEST_F(Hostile, AGatewayWhoseLogNobodyReadsServesOn) {
  const FullPipe log;
  const uint16_t port = leased_port();
  Program gateway({"gateway", "--port", std::to_string(port), "--worker-urls", "http://127.0.0.1:1",
                   "--threads", "1"},
                  log.writing_end());
  ASSERT_TRUE(comes_to_answer(port, "/live"));
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    requests += "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" +
                std::string(i == 99 ? "Connection: close\r\n" : "") + "\r\n{bad";
  }
  for (int i = 0; i < 20; ++i) EXPECT_THAT(ask(port, requests), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(get(port, "/live"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get(port, "/metrics"), HasSubstr("kvasir_log_lines_held_back_total"));
  gateway.signal(SIGTERM);
  EXPECT_EQ(gateway.wait(), 0);
}

TEST_F(Hostile, APickerAndAWorkerWhoseLogNobodyReadsServeOnToo) {
  const FullPipe log;
  const uint16_t port = leased_port();
  Program worker({"worker", "--host", "127.0.0.1", "--port", std::to_string(port)},
                 log.writing_end());
  EXPECT_TRUE(comes_to_answer(port, "/health"));
  const uint16_t metrics = leased_port();
  Program picker({"epp", "--host", "127.0.0.1", "--endpoints", "127.0.0.1:" + std::to_string(port),
                  "--secure-serving=false", "--grpc-port", "0", "--grpc-health-port", "0",
                  "--metrics-port", std::to_string(metrics)},
                 log.writing_end());
  EXPECT_TRUE(comes_to_answer(metrics, "/metrics"));
  for (Program* program : {&picker, &worker}) {
    program->signal(SIGTERM);
    EXPECT_EQ(program->wait(), 0);
  }
}

TEST_F(Hostile, AFleetWhoseSupervisorNobodyReadsComesUpAndGoes) {
  const FullPipe out;
  const uint16_t port = leased_port();
  Program up({"up", "--workers", "1", "--port", std::to_string(port), "--log-dir", path("")},
             out.writing_end());
  EXPECT_TRUE(comes_to_answer(port, "/health"));
  up.signal(SIGTERM);
  EXPECT_EQ(up.wait(), 0);
}

// Each ends, and says which file it is.
TEST_F(Hostile, APipeADirectoryOrADeviceInAFilesPlaceIsRefusedAtTheStart) {
  write("endpoints.yaml", "endpoints: []\n");
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  fs::create_directory(path("directory"));
  for (const auto& [file, kind] :
       {std::pair{path("pipe"), "it is a pipe"}, std::pair{path("directory"), "it is a directory"},
        std::pair{std::string("/dev/zero"), "it is a device"}}) {
    const std::string folder = path("certificate of " + std::string(kind));
    fs::create_directory(folder);
    fs::create_symlink(file, folder + "/tls.crt");
    const std::vector<std::vector<std::string>> commands = {
        {"gateway", "--port", "0", "--worker-urls", "http://127.0.0.1:1", "--config", file},
        {"gateway", "--port", "0", "--endpoints-file", file},
        {"gateway", "--port", "0", "--worker-urls", "http://127.0.0.1:1", "--engine-profile", file},
        {"epp", "--grpc-port", "0", "--endpoints", "127.0.0.1:1", "--config-file", file},
        {"epp", "--grpc-port", "0", "--endpoints-file", file},
        {"epp", "--grpc-port", "0", "--endpoints", "127.0.0.1:1", "--plugin", file},
        {"epp", "--grpc-port", "0", "--endpoints", "127.0.0.1:1", "--cert-path", folder},
        {"worker", "--port", "0", "--engine-profile", file},
        {"bench", "replay", "--trace", file, "--url", "http://127.0.0.1:1"},
        {"config", "check", file},
    };
    for (const std::vector<std::string>& command : commands) {
      SCOPED_TRACE(testing::PrintToString(command));
      Program program(command);
      const std::optional<int> status = program.wait();
      ASSERT_TRUE(status) << "it hangs";
      EXPECT_THAT(*status, AnyOf(1, 2));
      EXPECT_THAT(program.output(), HasSubstr(kind));
    }
  }
}

TEST_F(Hostile, APipeInAFilesPlaceLaterChangesNothing) {
  const std::string config = "plugins:\n- type: queue-scorer\n";
  const std::string endpoints = "endpoints:\n- {name: w, address: 127.0.0.1, port: 1}\n";
  write("config.yaml", config);
  write("endpoints.yaml", endpoints);
  const uint16_t metrics = leased_port();
  Program picker({"epp", "--host", "127.0.0.1", "--config-file", path("config.yaml"),
                  "--endpoints-file", path("endpoints.yaml"), "--secure-serving=false",
                  "--grpc-port", "0", "--grpc-health-port", "0", "--metrics-port",
                  std::to_string(metrics)});
  ASSERT_TRUE(picker.comes_to_say("picking on"));
  replace_by_pipe("config.yaml");
  replace_by_pipe("endpoints.yaml");
  EXPECT_TRUE(picker.comes_to_say("config.yaml: it is a pipe"));
  EXPECT_TRUE(picker.comes_to_say("endpoints.yaml: it is a pipe"));
  EXPECT_THAT(get(metrics, "/metrics"), StartsWith("HTTP/1.1 200"));
  write("config.yaml", config + "- type: load-aware-scorer\n");
  EXPECT_TRUE(picker.comes_to_say("the changed configuration is in use"));
  picker.signal(SIGTERM);
  EXPECT_EQ(picker.wait(), 0);
}

TEST_F(Hostile, AnEmptiedConfigurationIsToldAndNotUsed) {
  write("config.yaml", "plugins:\n- type: queue-scorer\n");
  Program picker({"epp", "--host", "127.0.0.1", "--config-file", path("config.yaml"), "--endpoints",
                  "127.0.0.1:1", "--secure-serving=false", "--grpc-port", "0", "--grpc-health-port",
                  "0", "--metrics-port", "0"});
  ASSERT_TRUE(picker.comes_to_say("picking on"));
  write("config.yaml", "");
  EXPECT_TRUE(picker.comes_to_say("it configures nothing"));
  EXPECT_EQ(picker.output().find("is in use"), std::string::npos) << picker.output();
  // A file that is cut short between two plugins parses, too.
  write("config.yaml", "plugins:\n- type: queue-scorer\n- type: load-aware-scorer\n");
  EXPECT_TRUE(picker.comes_to_say("the changed configuration is in use"));
  write("config.yaml", "plugins:\n- type: queue-scorer\n");
  EXPECT_TRUE(picker.comes_to_say("names 1 plugins, the one before named 2"));
}

TEST_F(Hostile, AnEmptyConfigurationAtTheStartMeansTheDefaultsAndIsTold) {
  write("config.yaml", "# later\n");
  Program picker({"epp", "--host", "127.0.0.1", "--config-file", path("config.yaml"), "--endpoints",
                  "127.0.0.1:1", "--secure-serving=false", "--grpc-port", "0", "--grpc-health-port",
                  "0", "--metrics-port", "0"});
  EXPECT_TRUE(picker.comes_to_say("it configures nothing; the default configuration is in use"));
  write("config.yaml", "plugins:\n- type: queue-scorer\n");
  EXPECT_TRUE(picker.comes_to_say("the changed configuration is in use"));
}

// Each ends with a message, not by a signal, and takes no time and no memory.
TEST_F(Hostile, NumbersWithoutSenseAreRefused) {
  const std::vector<std::string> gateway = {"gateway", "--port", "0", "--worker-urls",
                                            "http://127.0.0.1:1"};
  const std::vector<std::string> picker = {"epp", "--grpc-port", "0", "--endpoints", "127.0.0.1:1"};
  const std::vector<std::string> worker = {"worker", "--port", "0"};
  const struct {
    std::vector<std::string> command;
    std::vector<std::string> flags;
  } cases[] = {
      {gateway, {"--time-scale", "nan"}},
      {gateway, {"--time-scale", "1e-320"}},
      {gateway, {"--time-scale", "1e300"}},
      {gateway, {"--idle-timeout", "nan"}},
      {gateway, {"--idle-timeout", "1e300"}},
      {gateway, {"--first-byte-timeout", "inf"}},
      {gateway, {"--drain-timeout", "1e30"}},
      {gateway, {"--health-interval", "nan"}},
      {gateway, {"--max-hold", "1e18"}},
      {gateway, {"--threads", "100000"}},
      {gateway, {"--max-endpoints", "100000000"}},
      {gateway, {"--max-body-mib", "18446744073709551615"}},
      {gateway, {"--refresh-metrics-interval-ms", "1e300"}},
      {picker, {"--drain-timeout", "1e30"}},
      {picker, {"--drain-timeout", "nan"}},
      {picker, {"--drain-timeout", "99999999h"}},
      {picker, {"--health-interval", "inf"}},
      {picker, {"--threads", "100000"}},
      {picker, {"--max-endpoints", "100000000"}},
      {picker, {"--metrics-half-life", "nan"}},
      {picker, {"--endpoints-per-pick", "4294967296"}},
      {worker, {"--time-scale", "nan"}},
      {worker, {"--time-scale", "0"}},
      {worker, {"--num-gpu-blocks-override", "1073741824"}},
      {worker, {"--num-gpu-blocks-override", "18446744073709551615"}},
      {worker, {"--max-num-seqs", "0"}},
      {worker, {"--gpu-memory-utilization", "nan"}},
      {worker, {"--shutdown-timeout", "1e300"}},
      {{"up"}, {"--time-scale", "nan"}},
      {{"bench", "replay"}, {"--url", "http://127.0.0.1:1", "--speed", "nan"}},
      {{"bench", "replay"}, {"--url", "http://127.0.0.1:1", "--time-scale", "1e-300"}},
      {{"bench", "replay"}, {"--url", "http://127.0.0.1:1", "--timeout", "inf"}},
  };
  for (const auto& [command, flags] : cases) {
    std::vector<std::string> words = command;
    words.insert(words.end(), flags.begin(), flags.end());
    SCOPED_TRACE(testing::PrintToString(words));
    Program program(words);
    const std::optional<int> status = program.wait();
    ASSERT_TRUE(status) << "it runs";
    EXPECT_EQ(*status, 2) << program.output();
    EXPECT_THAT(program.output(), HasSubstr(flags[flags.size() - 2].substr(2, 4)));
  }
}

TEST_F(Hostile, ATraceThatNobodyCanReplayIsRefused) {
  const char* rows[] = {
      R"({"timestamp": 0, "input_length": 4294967295, "output_length": 1, "hash_ids": []})",
      R"({"timestamp": 0, "input_length": 1, "output_length": 4294967295, "hash_ids": [1]})",
      "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1]}\n"
      R"({"timestamp": 18446744073709551615, "input_length": 1, "output_length": 1, "hash_ids": [1]})"};
  for (const char* row : rows) {
    SCOPED_TRACE(row);
    write("trace", std::string(row) + "\n");
    Program bench({"bench", "replay", "--trace", path("trace"), "--url", "http://127.0.0.1:1"});
    const std::optional<int> status = bench.wait();
    ASSERT_TRUE(status);
    EXPECT_THAT(*status, AnyOf(1, 2));
    EXPECT_THAT(bench.output(), HasSubstr("trace"));
  }
}

// A terminal that closes, or a log rotation that means well.
TEST_F(Hostile, AHangUpLetsRunningStreamsEnd) {
  std::signal(SIGHUP, SIG_DFL);  // the tests may run under nohup
  const std::string worker_port = std::to_string(leased_port());
  const uint16_t port = leased_port();
  const uint16_t metrics = leased_port();
  Program worker(
      {"worker", "--host", "127.0.0.1", "--port", worker_port, "--served-model-name", "m"});
  Program gateway({"gateway", "--port", std::to_string(port), "--worker-urls",
                   "http://127.0.0.1:" + worker_port});
  Program picker({"epp", "--host", "127.0.0.1", "--endpoints", "127.0.0.1:" + worker_port,
                  "--secure-serving=false", "--grpc-port", "0", "--grpc-health-port", "0",
                  "--metrics-port", std::to_string(metrics)});
  ASSERT_TRUE(comes_to_answer(port, "/health"));
  const std::string body = R"({"model": "m", "prompt": "Hi", "max_tokens": 100, "stream": true})";
  std::future<std::string> answer = std::async(std::launch::async, [&] {
    return ask(port,
               "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
               "Content-Type: application/json\r\nContent-Length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body);
  });
  while (get(port, "/metrics").find("\nkvasir_gateway_requests_in_flight 1") == std::string::npos) {
    ASSERT_EQ(answer.wait_for(std::chrono::milliseconds(5)), std::future_status::timeout);
  }
  gateway.signal(SIGHUP);
  EXPECT_TRUE(gateway.comes_to_say("stopping: running requests may end"));
  EXPECT_THAT(answer.get(), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("data: [DONE]")));
  EXPECT_EQ(gateway.wait(), 0);
  ASSERT_TRUE(comes_to_answer(metrics, "/metrics"));
  for (Program* program : {&picker, &worker}) {
    program->signal(SIGHUP);
    EXPECT_EQ(program->wait(), 0);
  }
}

// What the documents grep for in the log of each program, with the defaults.
TEST_F(Hostile, WhatPeopleGrepForIsFoundInTheDefaultLog) {
  const uint16_t port = leased_port();
  Program worker({"worker", "--host", "127.0.0.1", "--port", std::to_string(port)});
  ASSERT_TRUE(comes_to_answer(port, "/health"));
  EXPECT_TRUE(worker.comes_to_say("Loading model")) << worker.output();
  EXPECT_TRUE(worker.comes_to_say("KV_EVENT publishing is off")) << worker.output();
  Program publisher({"worker", "--host", "127.0.0.1", "--port", "0", "--enable-kv-events",
                     "--kv-events-config.endpoint", "tcp://*:*"});
  EXPECT_TRUE(publisher.comes_to_say("KV_EVENT publishing on tcp://")) << publisher.output();
  Program picker({"epp", "--host", "127.0.0.1", "--endpoints", "127.0.0.1:" + std::to_string(port),
                  "--secure-serving=false", "--grpc-port", "0", "--grpc-health-port", "0",
                  "--metrics-port", "0"});
  for (const char* words : {"scraper: metrics-data-source", "endpoint 127.0.0.1", "is healthy"}) {
    EXPECT_TRUE(picker.comes_to_say(words)) << words << "\n" << picker.output();
  }
  // Once at the start, not with every reading.
  usleep(300'000);
  const std::string log = picker.output();
  EXPECT_EQ(log.find("scraper"), log.rfind("scraper")) << log;
}

}  // namespace
}  // namespace kvasir
