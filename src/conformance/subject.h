// The endpoint picker under test: where it listens, and a loop on which its answers are awaited.
// Lives on one thread; everything blocks, at most for the timeout.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/grpc/grpc_client.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

struct SubjectOptions {
  HostPort target;
  std::optional<HostPort> health_target;       // nothing: the target itself
  std::optional<HostPort> empty_target;  // the same picker over a pool without a ready endpoint
  Duration timeout = std::chrono::seconds(5);  // for each answer that is awaited
  std::string model = "Qwen/Qwen3-32B";
  std::string path = "/v1/completions";
  std::vector<std::string> endpoints;  // ip:port of the pool; empty: learned from what is picked
};

class Subject {
 public:
  static Result<std::unique_ptr<Subject>> create(SubjectOptions options);

  const SubjectOptions& options() const { return options_; }
  GrpcClient& client() { return *client_; }
  GrpcClient& health_client() { return *health_client_; }
  // Null: there is no empty_target.
  GrpcClient* empty_client() { return empty_client_.get(); }

  // Runs the loop until `done` holds; false when the timeout passed first.
  bool run_until(const std::function<bool()>& done);
  // Something arrived: `done` of run_until() is to be looked at.
  void wake() { loop_->stop(); }

  // The pool, as given or as learned by asking a few times. Empty: nothing could be learned.
  const std::vector<std::string>& endpoints();

  // A number that no other exchange of this run was given.
  size_t next_number() { return ++last_number_; }

 private:
  explicit Subject(SubjectOptions options) : options_(std::move(options)) {}

  SubjectOptions options_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<GrpcClient> client_;
  std::unique_ptr<GrpcClient> health_client_;
  std::unique_ptr<GrpcClient> empty_client_;
  std::optional<std::vector<std::string>> endpoints_;
  size_t last_number_ = 0;
};

}  // namespace kvasir
