// What a replica reports of the others. apps/ turns it into metrics and logs. Called from every
// thread of the picker: implementations are thread-safe and do not block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvasir {

// Why the stream of a replica, or of whoever called itself one, was ended.
enum class ReplicaRefusal : uint8_t {
  kUnproven,       // it does not know the secret
  kNotUnderstood,  // it does, and what it says is not understood
  kTooMany,
};

// Of other replicas of the picker; `others`: how many are listened to now.
class ReplicaProbe {
 public:
  virtual ~ReplicaProbe() = default;
  virtual void on_replica_found(uint64_t origin, size_t others) {
    static_cast<void>(origin), static_cast<void>(others);
  }
  virtual void on_replica_lost(uint64_t origin, size_t others) {
    static_cast<void>(origin), static_cast<void>(others);
  }
  // Trouble with others, told once in a while.
  virtual void on_replica_trouble(std::string_view what) { static_cast<void>(what); }
  // Each stream that was ended.
  virtual void on_replica_refused(ReplicaRefusal reason) { static_cast<void>(reason); }
};

}  // namespace kvasir
