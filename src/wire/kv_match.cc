#include "wire/kv_match.h"

#include "base/little_endian.h"

namespace kvasir {
namespace {

constexpr std::string_view kMatchMagic = "KVM1";

void append_match_name(std::string_view name, std::string& bytes) {
  append_little_endian(static_cast<uint16_t>(name.size()), bytes);
  bytes.append(name);
}

// Reads from the front; once something is missing, everything is.
class MatchReader {
 public:
  explicit MatchReader(std::string_view bytes) : bytes_(bytes) {}

  std::string_view take(size_t size) {
    if (bytes_.size() - at_ < size) {
      cut_ = true;
      return {};
    }
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  template <class Integer>
  Integer number() {
    const std::string_view bytes = take(sizeof(Integer));
    return bytes.empty() ? Integer{0} : read_little_endian<Integer>(bytes.data());
  }
  std::string name() { return std::string(take(number<uint16_t>())); }
  size_t left() const { return bytes_.size() - at_; }
  bool cut() const { return cut_; }
  Error error(std::string_view what) const {
    return Error{std::string(what) + " at byte " + std::to_string(at_)};
  }
  Error cut_error() const { return error("the bytes end too early"); }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool cut_ = false;
};

}  // namespace

std::string write_match_question(const MatchQuestion& question) {
  std::string bytes(kMatchMagic);
  bytes.reserve(64 + question.contents.size() * sizeof(uint64_t));
  append_little_endian(question.block_tokens, bytes);
  append_little_endian(static_cast<uint32_t>(question.contents.size()), bytes);
  append_little_endian(static_cast<uint16_t>(question.model.size()), bytes);
  append_little_endian(static_cast<uint16_t>(question.cache_salt.size()), bytes);
  append_little_endian(static_cast<uint16_t>(question.pods.size()), bytes);
  append_little_endian(uint16_t{0}, bytes);
  bytes.append(question.model).append(question.cache_salt);
  for (const std::string& pod : question.pods) append_match_name(pod, bytes);
  for (const uint64_t content : question.contents) append_little_endian(content, bytes);
  return bytes;
}

Result<MatchQuestion> read_match_question(std::string_view bytes) {
  MatchReader reader(bytes);
  if (reader.take(kMatchMagic.size()) != kMatchMagic) {
    return Error{"not a question in bytes: it begins with \"KVM1\""};
  }
  MatchQuestion question;
  question.block_tokens = reader.number<uint32_t>();
  const auto blocks = reader.number<uint32_t>();
  const auto model = reader.number<uint16_t>();
  const auto salt = reader.number<uint16_t>();
  const auto pods = reader.number<uint16_t>();
  const auto zero = reader.number<uint16_t>();
  if (reader.cut()) return reader.cut_error();
  if (zero != 0) return reader.error("a field of a later version");
  if (question.block_tokens == 0) return reader.error("blocks of no tokens");
  if (blocks > kMatchBlocksMax) {
    return reader.error("more than " + std::to_string(kMatchBlocksMax) + " blocks");
  }
  question.model = reader.take(model);
  question.cache_salt = reader.take(salt);
  for (size_t i = 0; i < pods && !reader.cut(); ++i) question.pods.push_back(reader.name());
  if (reader.cut() || reader.left() / sizeof(uint64_t) < blocks) return reader.cut_error();
  question.contents.reserve(blocks);
  for (size_t i = 0; i < blocks; ++i) question.contents.push_back(reader.number<uint64_t>());
  if (reader.left() > 0) return reader.error("something follows the last block");
  return question;
}

std::string write_match_answer(const MatchAnswer& answer) {
  std::string bytes(kMatchMagic);
  append_little_endian(static_cast<uint32_t>(answer.pods.size()), bytes);
  for (const MatchAnswer::Pod& pod : answer.pods) {
    append_match_name(pod.name, bytes);
    bytes.push_back(pod.known ? 1 : 0);
    append_little_endian(pod.tokens, bytes);
    append_little_endian(pod.gpu_tokens, bytes);
  }
  return bytes;
}

Result<MatchAnswer> read_match_answer(std::string_view bytes) {
  MatchReader reader(bytes);
  if (reader.take(kMatchMagic.size()) != kMatchMagic) {
    return Error{"not an answer in bytes: it begins with \"KVM1\""};
  }
  MatchAnswer answer;
  const auto pods = reader.number<uint32_t>();
  for (size_t i = 0; i < pods && !reader.cut(); ++i) {
    MatchAnswer::Pod pod;
    pod.name = reader.name();
    pod.known = reader.take(1) == std::string_view("\1");
    pod.tokens = reader.number<uint32_t>();
    pod.gpu_tokens = reader.number<uint32_t>();
    if (!reader.cut()) answer.pods.push_back(std::move(pod));
  }
  if (reader.cut()) return reader.cut_error();
  if (reader.left() > 0) return reader.error("something follows the last pod");
  return answer;
}

}  // namespace kvasir
