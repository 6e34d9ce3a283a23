// A KubeClient before a scripted API server, over HTTP or TLS on a real loop.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kube/kube_client.h"
#include "kube/scripted_api_fronts_fixture.h"
#include "net/io/resolver_fixture.h"

namespace kvasir {

inline constexpr char kPods[] = "/api/v1/namespaces/default/pods";
inline constexpr Duration kShort = std::chrono::milliseconds(30);

class WatchedLines final : public KubeWatchObserver {
 public:
  void on_line(std::string_view json) override {
    lines.emplace_back(json);
    if (told) told();
  }
  void on_end(const KubeAnswer& answer) override { end = answer; }

  std::vector<std::string> lines;
  std::optional<KubeAnswer> end;
  std::function<void()> told;
};

class KubeClientTest : public ::testing::Test {
 protected:
  KubeClientTest() : loop_(std::move(EventLoop::create().value())) {
    std::string name = (std::filesystem::temp_directory_path() / "kvasir_client_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    server_.put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}})");
    serve();
  }
  ~KubeClientTest() override { std::filesystem::remove_all(folder_); }

  void serve(const std::string& tls = {}) {
    client_.reset();
    http_.reset();
    http_ = std::make_unique<ScriptedHttpApi>(*loop_, server_, tls);
    config_ = http_->config();
  }
  void connect() {
    client_.reset();
    auto client = KubeClient::create(*loop_, resolver_, config_, limits_);
    ASSERT_TRUE(client.ok()) << client.error().message;
    client_ = std::move(*client);
  }
  std::string refusal() {
    auto client = KubeClient::create(*loop_, resolver_, config_, limits_);
    return client.ok() ? "none" : client.error().message;
  }
  std::string write(const std::string& name, const std::string& text) {
    std::string path = folder_ + "/" + name;
    std::ofstream(path + ".fresh") << text;
    std::filesystem::rename(path + ".fresh", path);
    return path;
  }
  // A program that prints what `text` says after "printf".
  void use_program(const std::string& script) {
    const std::string path = write("plugin", "#!/bin/sh\n" + script + "\n");
    chmod(path.c_str(), 0755);
    config_.exec = {ExecCredential{}};
    config_.exec[0].api_version = "client.authentication.k8s.io/v1";
    config_.exec[0].command = path;
  }
  static std::string prints(const std::string& status) {
    return "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
           "\"status\":" +
           status + "}'";
  }

  void run_until(const std::function<bool()>& done) {
    for (int turn = 0; turn < 20'000 && !done(); ++turn) {
      const TimerId tick = loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
    EXPECT_TRUE(done());
  }
  KubeAnswer ask(KubeRequest request) {
    std::optional<KubeAnswer> answer;
    const auto call = client_->start(std::move(request), [&](KubeAnswer got) {
      EXPECT_FALSE(answer.has_value());
      answer = std::move(got);
    });
    EXPECT_FALSE(answer.has_value());  // later
    run_until([&] { return answer.has_value(); });
    return answer.value_or(KubeAnswer{});
  }
  KubeAnswer get(const std::string& target = kPods) { return ask({"GET", target}); }

  std::unique_ptr<EventLoop> loop_;
  FakeResolver resolver_;
  ScriptedApiServer server_;
  std::unique_ptr<ScriptedHttpApi> http_;
  KubeConfig config_;
  KubeClientLimits limits_;
  std::unique_ptr<KubeClient> client_;
  std::string folder_;
};

}  // namespace kvasir
