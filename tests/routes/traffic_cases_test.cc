// One test for each file under traffic/, named after it: a gateway carries its requests, between
// fake backends and a client on one loop.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "gateway/gateway_fixture.h"
#include "kube/object_store.h"
#include "routes/route_feed.h"
#include "traffic_case_file.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

// What one backend got.
struct GotRequest {
  std::string backend;
  HttpHead head;
};

// Every member of one Service. Does what the case says, whoever it is.
class SayingService final : public HttpHandler, private HttpExchange::Observer {
 public:
  SayingService(EventLoop& loop, std::string name, std::deque<TrafficCase::Says>& script,
                std::vector<GotRequest>& got)
      : name_(std::move(name)),
        script_(script),
        got_(got),
        server_(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this) {
    // A request that finds its connection closed is sent once more, which no case is about.
    server_.close_after_answers();
  }

  uint16_t port() const { return server_.port(); }
  void on_request(HttpExchange& exchange) override {
    got_.push_back({name_, exchange.head()});
    const bool is_mirror = exchange.head().find("x-kvasir-mirror").has_value();
    TrafficCase::Says says;
    if (!is_mirror && !script_.empty()) {
      says = script_.front();
      script_.pop_front();
    }
    if (says.closes) return exchange.abort();
    if (says.hangs) return exchange.set_observer(this);
    std::string fields = "Content-Type: text/plain\r\n";
    for (const auto& [name, value] : says.headers) fields += name + ": " + value + "\r\n";
    exchange.respond(says.status, fields, name_);
  }
  Refusal on_refused(int, std::string_view) override { return {}; }
  void on_client_gone() override {}

 private:
  const std::string name_;
  std::deque<TrafficCase::Says>& script_;
  std::vector<GotRequest>& got_;
  HttpServer server_;
};

std::string joined(const HttpHead& head, std::string_view name) {
  std::string all;
  for (size_t i = 0; i < head.field_count(); ++i) {
    const HttpHead::Field field = head.field(i);
    if (!equal_ignoring_case(field.name, name)) continue;
    all.append(all.empty() ? "" : ",").append(field.value);
  }
  return all;
}

class TrafficCases : public GatewayTest {
 public:
  explicit TrafficCases(fs::path file) : path_(std::move(file)) {}
  ~TrafficCases() override {
    client_.reset();
    gateway_.reset();
  }

  void TestBody() override {
    auto read = read_traffic_cases(path_);
    ASSERT_TRUE(read.ok()) << read.error().message;
    options_.listener_port = 80;
    start();
    ObjectStore store;
    for (const ManifestObject& object : read->objects) {
      ASSERT_NE(object.object, nullptr) << object.kind;
      store.put(object.object->type->as, object.object);
      if (object.kind == "Service") serve(store, object.object->meta.key());
    }
    store.end_batch();
    RouteFeed feed(
        store, [](const KubeGateway&) { return true; }, [](auto) {});
    gateway_->set_routes(feed.current());
    for (const TrafficCase& one : read->requests) play(one);
  }

 private:
  // Gives a Service one member, whatever its ports are.
  void serve(ObjectStore& store, const ObjectKey& key) {
    const auto service = store.get<Service>(key.name_space, key.name);
    services_.push_back(std::make_unique<SayingService>(*loop_, to_string(key), script_, got_));
    for (const ServicePort& port : service->ports) {
      const std::string text =
          "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: "
          "{name: " +
          key.name + "-" + std::to_string(port.port) + ", namespace: " + key.name_space +
          ", labels: {kubernetes.io/service-name: " + key.name + "}}, ports: [{" +
          (port.name.empty() ? "" : "name: " + port.name + ", ") +
          "port: " + std::to_string(services_.back()->port()) +
          "}], endpoints: [{addresses: [127.0.0.1]}]}";
      auto objects = read_manifest(text);
      ASSERT_TRUE(objects.ok()) << objects.error().message;
      store.put(objects->at(0).object->type->as, objects->at(0).object);
    }
  }

  void play(const TrafficCase& one) {
    SCOPED_TRACE(path_.string() + ":" + std::to_string(one.line) + " " + one.method + " " +
                 one.url);
    script_.assign(one.backend_says.begin(), one.backend_says.end());
    got_.clear();
    a_.heads.clear();
    b_.heads.clear();
    const size_t host = std::string_view("http://").size();
    const size_t path = std::min(one.url.find('/', host), one.url.size());
    std::string head = one.method + " " + one.url.substr(path) +
                       " HTTP/1.1\r\nHost: " + one.url.substr(host, path - host) + "\r\n";
    for (const auto& [name, value] : one.headers) head += name + ": " + value + "\r\n";
    if (!one.body.empty()) head += "Content-Length: " + std::to_string(one.body.size()) + "\r\n";
    const Answer answer = call(head + "\r\n", one.body, one.method == "HEAD");
    EXPECT_EQ(answer.head.status(), one.status) << answer.body;
    hold(one.answer, answer.head);
    hold_backends(one);
  }

  void hold_backends(const TrafficCase& one) {
    for (const FakeWorker* worker : {&a_, &b_}) {
      for (const HttpHead& head : worker->heads) got_.push_back({"pool", head});
    }
    const auto is_mirror = [](const GotRequest& got) {
      return got.head.find("x-kvasir-mirror").has_value();
    };
    if (!one.mirrored.empty()) {  // they may be under way yet
      run_until([&] {
        return static_cast<size_t>(std::count_if(got_.begin(), got_.end(), is_mirror)) >=
               one.mirrored.size();
      });
    }
    std::vector<std::string> mirrored;
    std::vector<const GotRequest*> own;
    for (const GotRequest& got : got_) {
      if (is_mirror(got)) {
        mirrored.push_back(got.backend);
        hold(one.got, got.head);
      } else {
        own.push_back(&got);
      }
    }
    EXPECT_THAT(mirrored, ::testing::UnorderedElementsAreArray(one.mirrored));
    if (one.backend == "none") EXPECT_TRUE(own.empty()) << own[0]->backend;
    if (one.asked >= 0) EXPECT_EQ(static_cast<int64_t>(own.size()), one.asked);
    if (one.backend.empty() || one.backend == "none") return;
    ASSERT_FALSE(own.empty()) << "no backend was asked";
    EXPECT_EQ(own[0]->backend, one.backend);
    hold(one.got, own[0]->head);
  }

  static void hold(const HeadCase& wanted, const HttpHead& head) {
    if (!wanted.target.empty()) EXPECT_EQ(head.target(), wanted.target);
    if (!wanted.host.empty()) EXPECT_EQ(head.find("host").value_or(""), wanted.host);
    for (const auto& [name, value] : wanted.headers) EXPECT_EQ(joined(head, name), value) << name;
    for (const std::string& name : wanted.without) {
      EXPECT_FALSE(head.find(name)) << name << ": " << *head.find(name);
    }
  }

  const fs::path path_;
  std::deque<TrafficCase::Says> script_;
  std::vector<GotRequest> got_;
  std::vector<std::unique_ptr<SayingService>> services_;
};

const bool traffic_registered = [] {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  const fs::path folder = fs::path(root != nullptr ? root : ".") / "tests/routes/traffic";
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    const fs::path path = entry.path();
    ::testing::RegisterTest("TrafficCases", path.stem().string().c_str(), nullptr, nullptr,
                            path.string().c_str(), 1,
                            [path]() -> GatewayTest* { return new TrafficCases(path); });
  }
  return true;
}();

}  // namespace
}  // namespace kvasir
