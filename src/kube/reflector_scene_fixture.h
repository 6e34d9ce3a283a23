// Where the table of a reflector's cases is played: a scripted API server, a reflector of its pods
// on virtual time, and what listeners and the probe heard. Each row reads as a sentence, and is
// played twice: with everything on virtual time, and with the real KubeClient and HTTP between
// reflector and server.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "base/virtual_executor_fixture.h"
#include "kube/kube_client.h"
#include "kube/reflector.h"
#include "kube/scripted_api_fronts_fixture.h"
#include "kube/scripted_api_server_fixture.h"
#include "net/io/event_loop.h"
#include "net/io/resolver_fixture.h"

namespace kvasir {

// Parts of the targets that a reflector asks for.
inline constexpr char kStreamingList[] = "sendInitialEvents=true";
inline constexpr char kPage[] = "limit=";
inline constexpr char kWholeList[] = "?resourceVersion=";
inline constexpr char kWatch[] = "Bookmarks=true&resourceVersion=";

// The way between reflector and server.
class SceneWire {
 public:
  virtual ~SceneWire() = default;
  virtual KubeApi& api() = 0;
  // Lets happen what can happen now.
  virtual void pump() = 0;
  // So many pumps without news mean that nothing more will come by itself.
  virtual size_t quiet_pumps() const = 0;
  // So many pumps are waited for something that must come.
  virtual size_t patient_pumps() const = 0;
  virtual void server_goes() = 0;
  virtual void server_comes_back() = 0;
  virtual void use_token(const std::string& token) = 0;
};

class ReflectorScene final : public ObjectStoreListener, public ReflectorProbe {
 public:
  using Json = nlohmann::json;

  explicit ReflectorScene(
      const std::function<std::unique_ptr<SceneWire>(VirtualExecutor&, ScriptedApiServer&)>& wire)
      : wire_(wire(executor, server)), api_(wire_->api()) {
    store.add_listener(*this);
  }
  ~ReflectorScene() override {
    reflector.reset();
    store.remove_listener(*this);
  }

  // --- What a row does ---
  void begin(ReflectorOptions options = {.name_space = "default"},
             const KubeType& type = kube_type(KubeKind::kPod)) {
    reflector = std::make_unique<Reflector>(executor, api_, store, type, std::move(options),
                                            random_, *this);
  }
  // Begins, and waits for the watch that follows.
  void begin_watching(const std::string& pods) {
    put(pods);
    begin();
    is_synced();
    waits_for([this] { return server.watches() == 1; }, "a watch");
    heard.clear();
  }
  // Stores pods by their names: "a b".
  void put(const std::string& names) {
    for (const std::string& name : split(names)) server.put(pod(name));
  }
  void remove(const std::string& names) {
    for (const std::string& name : split(names)) server.remove("v1", "Pod", name);
  }
  static Json pod(const std::string& name) {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"namespace", "default"}, {"labels", {{"app", "x"}}}}}};
  }
  // A pod as an event has it.
  static Json pod_at(const std::string& name, const std::string& version, const std::string& uid) {
    Json object = pod(name);
    object["metadata"]["resourceVersion"] = version;
    object["metadata"]["uid"] = uid;
    return object;
  }
  static std::string event(const std::string& type, const std::string& name,
                           const std::string& version, const std::string& uid = "u") {
    return ScriptedApiServer::event_line(type, pod_at(name, version, uid));
  }
  static Json unreadable_pod(const std::string& name) {
    Json object = pod(name);
    object["status"] = {{"podIP", 7}};
    return object;
  }
  void server_goes() { wire_->server_goes(); }
  void server_comes_back() { wire_->server_comes_back(); }
  void use_token(const std::string& token) { wire_->use_token(token); }
  void pass(Duration time) {
    const TimePoint end = executor.now() + time;
    for (settle(); executor.now() < end;) {
      const size_t asked_before = api_.asked;
      executor.run_until(std::min(end, executor.now() + std::chrono::seconds(1)));
      if (api_.asked != asked_before) settle();
    }
    settle();
  }
  void settle() {
    std::string before;
    for (size_t quiet = 0; quiet < wire_->quiet_pumps(); ++quiet) {
      wire_->pump();
      if (std::string now = state(); now != before) {
        before = std::move(now);
        quiet = 0;
      }
    }
  }

  // --- What a row expects: soon, without time passing on the reflector's clock ---
  void waits_for(const std::function<bool()>& condition, const std::string& what) {
    for (size_t i = 0; i < wire_->patient_pumps() && !condition(); ++i) wire_->pump();
    EXPECT_TRUE(condition()) << what << "\n" << state();
  }
  void is_synced() {
    waits_for([this] { return reflector->synced(); }, "synced");
  }
  void is_synced_times(size_t times) {
    waits_for([=, this] { return synced == times; }, "lists: " + std::to_string(times));
  }
  // Names in the store, ordered: "a b".
  void holds(const std::string& names) {
    waits_for([&, this] { return held() == names; }, "holds " + names);
  }
  // Changes since the last call: "+a" new, "a" changed, "-a" gone.
  void hears(const std::string& changes) {
    waits_for([&, this] { return heard == changes; }, "hears " + changes);
    heard.clear();
  }
  void is_told(const std::string& part) {
    waits_for([&, this] { return !told.empty() && told.back().find(part) != std::string::npos; },
              "is told " + part);
  }
  void is_told_times(size_t times) { EXPECT_EQ(told.size(), times) << state(); }
  void asked(const std::string& part, size_t times) {
    waits_for([&, this] { return server.requests_of(part) == times; },
              "asked " + std::to_string(times) + " times for " + part);
  }
  void is_stalled() {
    waits_for([this] { return server.stalled() == 1; }, "a request that stalls");
  }
  Duration age() const { return executor.now() - reflector->heard_at().value_or(TimePoint{}); }
  void is_watched_from(const std::string& version) {
    waits_for([&, this] { return last_watch() == version; }, "watches from " + version);
  }

  VirtualExecutor executor;
  ScriptedApiServer server;
  ObjectStore store{{.objects = 6'000}};
  std::unique_ptr<Reflector> reflector;
  std::string heard;
  std::vector<std::string> told;     // troubles
  std::vector<std::string> refused;  // "NAME: why"
  size_t synced = 0;
  size_t batches = 0;

 private:
  void on_change(const ObjectChange& change) override {
    heard += heard.empty() ? "" : " ";
    heard += change.before == nullptr ? "+" : change.after == nullptr ? "-" : "";
    heard += change.object().meta.name;
  }
  void on_batch_end() override { ++batches; }
  void on_synced(const KubeType&, size_t) override { ++synced; }
  void on_trouble(const KubeType&, const KubeStatus&, const std::string& why) override {
    told.push_back(why);
  }
  void on_object_refused(const KubeType&, const ObjectKey& key, const std::string& why) override {
    refused.push_back(key.name + ": " + why);
  }

  static std::vector<std::string> split(const std::string& names) {
    std::vector<std::string> all;
    for (size_t at = 0; at < names.size();) {
      const size_t end = std::min(names.find(' ', at), names.size());
      all.push_back(names.substr(at, end - at));
      at = end + 1;
    }
    return all;
  }
  std::string held() const {
    std::string names;
    store.for_each<Pod>(
        "", [&](const Pod& pod) { names += (names.empty() ? "" : " ") + pod.meta.name; });
    return names;
  }
  std::string last_watch() const {
    for (size_t i = server.requests.size(); i-- > 0;) {
      const std::string version = server.requests[i].value("resourceVersion");
      if (server.requests[i].is_watch() && !version.empty()) return version;
    }
    return "";
  }
  std::string state() const {
    std::string text = "holds: " + held() + "\nheard: " + heard + "\n";
    for (const std::string& why : told) text += "told: " + why + "\n";
    for (const std::string& why : refused) text += "refused: " + why + "\n";
    for (const ScriptedRequest& request : server.requests) text += request.target + "\n";
    return text;
  }

  // Counts what the reflector asks.
  struct CountingApi final : KubeApi {
    explicit CountingApi(KubeApi& api) : below(api) {}
    std::unique_ptr<KubeCall> start(KubeRequest request,
                                    std::function<void(KubeAnswer)> done) override {
      ++asked;
      return below.start(std::move(request), std::move(done));
    }
    std::unique_ptr<KubeCall> watch(std::string target, KubeWatchObserver& observer) override {
      ++asked;
      return below.watch(std::move(target), observer);
    }
    KubeApi& below;
    size_t asked = 0;
  };

  Random random_{1};
  const std::unique_ptr<SceneWire> wire_;
  CountingApi api_;
};

// Everything on virtual time.
class VirtualWire final : public SceneWire {
 public:
  VirtualWire(VirtualExecutor& executor, ScriptedApiServer& server)
      : executor_(executor), api_(executor, server) {}
  KubeApi& api() override { return api_; }
  void pump() override { executor_.run_until(executor_.now()); }
  size_t quiet_pumps() const override { return 1; }
  size_t patient_pumps() const override { return 1; }
  void server_goes() override { api_.go_away(); }
  void server_comes_back() override { api_.come_back(); }
  void use_token(const std::string& token) override { api_.token = token; }

 private:
  VirtualExecutor& executor_;
  ScriptedKubeApi api_;
};

// The real client and HTTP; only the reflector is on virtual time.
class HttpWire final : public SceneWire {
 public:
  static constexpr size_t kAnswerBytesMax = 1024 * 1024;

  HttpWire(VirtualExecutor& executor, ScriptedApiServer& server)
      : executor_(executor),
        token_file_(::testing::TempDir() + "reflector_token_" + std::to_string(getpid())),
        http_(*loop_, server) {
    use_token("none");
    resolver_.set("127.0.0.1", {"127.0.0.1"});
    KubeConfig config = http_.config();
    config.token_file = token_file_;
    KubeClientLimits limits;
    limits.answer_bytes_max = kAnswerBytesMax;
    client_ = std::move(KubeClient::create(*loop_, resolver_, std::move(config), limits).value());
  }
  ~HttpWire() override { std::remove(token_file_.c_str()); }

  KubeApi& api() override { return *client_; }
  // One millisecond of real time at most.
  void pump() override {
    executor_.run_until(executor_.now());
    loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
    loop_->run();
    executor_.run_until(executor_.now());
  }
  size_t quiet_pumps() const override { return 10; }
  size_t patient_pumps() const override { return 5'000; }
  void server_goes() override { http_.stop(); }
  void server_comes_back() override { http_.start(); }
  void use_token(const std::string& token) override { std::ofstream(token_file_) << token; }

 private:
  VirtualExecutor& executor_;
  const std::string token_file_;
  const std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  FakeResolver resolver_;
  ScriptedHttpApi http_;
  std::unique_ptr<KubeClient> client_;
};

// One row of the table.
struct ReflectorCase {
  const char* sentence;
  void (*play)(ReflectorScene& scene);
};
template <class Wire>
void play(const ReflectorCase& row) {
  ReflectorScene scene([](VirtualExecutor& executor, ScriptedApiServer& server) {
    return std::make_unique<Wire>(executor, server);
  });
  row.play(scene);
}
inline void PrintTo(const ReflectorCase& row, std::ostream* out) {
  *out << row.sentence;
}
// "a watch that ends goes on" -> "AWatchThatEndsGoesOn".
inline std::string name_of_case(const ::testing::TestParamInfo<ReflectorCase>& info) {
  std::string name;
  bool begins = true;
  for (const char* c = info.param.sentence; *c != 0; ++c) {
    const bool plain = is_letter(*c) || is_digit(*c);
    if (plain) name += begins && *c >= 'a' ? static_cast<char>(*c - ('a' - 'A')) : *c;
    begins = !plain;
  }
  return name;
}

}  // namespace kvasir
