// How a replica and one that listens to it prove to each other that they know the same secret, and
// how what is said afterwards is sealed. No socket, no thread.
//
//   speaker -> listener   Hello: its origin and a nonce
//   listener -> speaker   Challenge: a nonce of its own, and HMAC(secret, "listener" + both nonces
//   + origin) speaker -> listener   message after message: HMAC(key, number + message), then the
//   message
//
// key = HMAC(secret, "speaker" + both nonces + origin): another one for each stream, so nothing
// that was overheard can be said again; the number counts the messages, so none can be repeated,
// left out or put elsewhere. The secret itself is never sent. Nothing is encrypted.
//
// Without a secret (empty, for replicas of one machine) the same is done and proves nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

// The speaker's end of one stream.
class ReplicaSealer {
 public:
  ReplicaSealer(std::string_view secret, uint64_t origin);

  // The first message.
  std::string hello() const;
  // What the listener answers; an error: it does not know the secret, or is not understood.
  Result<void> hear(std::string_view challenge);
  // hear() was good: messages may be sent.
  bool ready() const { return !key_.empty(); }
  // What goes before `message`, in the same gRPC message. Call it once for each that is sent, in
  // their order.
  std::string seal(std::string_view message);

 private:
  const std::string secret_;
  const uint64_t origin_;
  const std::string nonce_;
  std::string key_;
  uint64_t sent_ = 0;
};

// The listener's end of one stream.
class ReplicaChecker {
 public:
  explicit ReplicaChecker(std::string_view secret) : secret_(secret) {}

  // Takes the first message and returns what to answer.
  Result<std::string> challenge(std::string_view hello);
  // Who speaks, by its own word until the first open() was good; 0 before challenge().
  uint64_t origin() const { return origin_; }
  // The message under the seal; an error: whoever sent it does not know the secret, or it was
  // changed on its way.
  Result<std::string_view> open(std::string_view sealed);
  // A first open() was good.
  bool proven() const { return received_ > 0; }

 private:
  const std::string secret_;
  uint64_t origin_ = 0;
  std::string key_;
  uint64_t received_ = 0;
};

}  // namespace kvasir
