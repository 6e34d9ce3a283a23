#include "replicas/replica_session.h"

#include "net/io/authentication.h"
#include "wire/replica_handshake.h"

namespace kvasir {
namespace {

// Eight bytes, lowest first.
std::string bytes_of(uint64_t number) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(number >> shift & 0xff);
  return bytes;
}

// What belongs to `role` on one stream. All parts behind the role have a fixed length.
std::string secret_of(std::string_view role, std::string_view secret, std::string_view hello_nonce,
                      std::string_view challenge_nonce, uint64_t origin) {
  std::string text = "kvasir replica ";
  text.append(role).append(hello_nonce).append(challenge_nonce).append(bytes_of(origin));
  return hmac_sha256(secret, text);
}

std::string seal_of(std::string_view key, uint64_t number, std::string_view message) {
  // The message is long: its own digest first, so that it need not be copied.
  return hmac_sha256(key, bytes_of(number) + hmac_sha256(key, message));
}

}  // namespace

ReplicaSealer::ReplicaSealer(std::string_view secret, uint64_t origin)
    : secret_(secret), origin_(origin), nonce_(random_bytes(kReplicaNonceBytes)) {}

std::string ReplicaSealer::hello() const {
  return write_replica_hello({origin_, nonce_});
}

Result<void> ReplicaSealer::hear(std::string_view challenge) {
  if (ready()) return Error{"it says more than its challenge"};
  const Result<ReplicaChallenge> heard = read_replica_challenge(challenge);
  if (!heard) return Error{"its challenge is not understood: " + heard.error().message};
  const std::string proof = secret_of("listener", secret_, nonce_, heard->nonce, origin_);
  if (!equal_in_constant_time(proof, heard->proof)) return Error{"it has another secret"};
  key_ = secret_of("speaker", secret_, nonce_, heard->nonce, origin_);
  return {};
}

std::string ReplicaSealer::seal(std::string_view message) {
  return seal_of(key_, sent_++, message);
}

Result<std::string> ReplicaChecker::challenge(std::string_view hello) {
  const Result<ReplicaHello> heard = read_replica_hello(hello);
  if (!heard) return Error{"its first message is no greeting: " + heard.error().message};
  const std::string nonce = random_bytes(kReplicaNonceBytes);
  origin_ = heard->origin;
  key_ = secret_of("speaker", secret_, heard->nonce, nonce, origin_);
  return write_replica_challenge(
      {nonce, secret_of("listener", secret_, heard->nonce, nonce, origin_)});
}

Result<std::string_view> ReplicaChecker::open(std::string_view sealed) {
  if (sealed.size() < kSealBytes) return Error{"a message without a seal"};
  const std::string_view message = sealed.substr(kSealBytes);
  if (!equal_in_constant_time(seal_of(key_, received_, message), sealed.substr(0, kSealBytes))) {
    return Error{proven() ? "a seal is wrong: the message was changed on its way"
                          : "it has another secret"};
  }
  ++received_;
  return message;
}

}  // namespace kvasir
