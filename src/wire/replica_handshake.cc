#include "wire/replica_handshake.h"

#include <optional>
#include <protozero/pbf_writer.hpp>

#include "wire/protobuf_reader.h"

namespace kvasir {
namespace {

constexpr uint32_t kHandshakeVersion = 1;
// Of Hello.
constexpr uint32_t kHandshakeOrigin = 2;
constexpr uint32_t kHelloNonce = 3;
// Of Challenge.
constexpr uint32_t kChallengeNonce = 2;
constexpr uint32_t kProof = 3;

// Version first: what follows may mean something else in another one.
std::optional<Error> wrong_version(ProtobufReader& reader) {
  if (!reader.next() || reader.field() != kHandshakeVersion) return Error{"no version"};
  if (reader.fixed32() == kReplicaHandshakeVersion) return std::nullopt;
  return Error{"another version of the protocol"};
}

Result<ReplicaHello> read_hello(std::string_view bytes) {
  ReplicaHello hello;
  ProtobufReader reader(bytes);
  if (const auto wrong = wrong_version(reader)) return *wrong;
  while (reader.next()) {
    if (reader.field() == kHandshakeOrigin) {
      hello.origin = reader.fixed64();
    } else if (reader.field() == kHelloNonce) {
      hello.nonce = reader.bytes();
    } else {
      reader.skip();
    }
  }
  if (hello.origin == 0) return Error{"no origin"};
  if (hello.nonce.size() != kReplicaNonceBytes) return Error{"no nonce"};
  return hello;
}

Result<ReplicaChallenge> read_challenge(std::string_view bytes) {
  ReplicaChallenge challenge;
  ProtobufReader reader(bytes);
  if (const auto wrong = wrong_version(reader)) return *wrong;
  while (reader.next()) {
    if (reader.field() == kChallengeNonce) {
      challenge.nonce = reader.bytes();
    } else if (reader.field() == kProof) {
      challenge.proof = reader.bytes();
    } else {
      reader.skip();
    }
  }
  if (challenge.nonce.size() != kReplicaNonceBytes) return Error{"no nonce"};
  return challenge;
}

template <typename Read>
auto read_bounded(std::string_view bytes, Read read) -> decltype(read(bytes)) {
  if (bytes.size() > kReplicaHandshakeBytes) return Error{"too large"};
  try {
    return read(bytes);
  } catch (const protozero::exception&) {
    return Error{"not protobuf"};
  }
}

}  // namespace

std::string write_replica_hello(const ReplicaHello& hello) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_fixed32(kHandshakeVersion, kReplicaHandshakeVersion);
  writer.add_fixed64(kHandshakeOrigin, hello.origin);
  writer.add_bytes(kHelloNonce, hello.nonce);
  return bytes;
}

Result<ReplicaHello> read_replica_hello(std::string_view bytes) {
  return read_bounded(bytes, read_hello);
}

std::string write_replica_challenge(const ReplicaChallenge& challenge) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_fixed32(kHandshakeVersion, kReplicaHandshakeVersion);
  writer.add_bytes(kChallengeNonce, challenge.nonce);
  writer.add_bytes(kProof, challenge.proof);
  return bytes;
}

Result<ReplicaChallenge> read_replica_challenge(std::string_view bytes) {
  return read_bounded(bytes, read_challenge);
}

}  // namespace kvasir
