#include "tokens/tokenizer_json.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tokens/byte_alphabet.h"
#include "tokens/utf8.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kModelMaxLength = 131072;

constexpr const char* kChatTemplate =
    "{% if tools %}{{ '<|tools|>' + (tools | tojson) + '\\n' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% elif message['content'] %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}"
    "{% endif %}"
    "{% for call in message['tool_calls'] or [] %}"
    "{{ '<tool_call>{\"name\": ' + (call['function']['name'] | tojson) + ', \"arguments\": ' }}"
    "{% if call['function']['arguments'] is string %}{{ call['function']['arguments'] }}"
    "{% else %}{{ call['function']['arguments'] | tojson }}{% endif %}"
    "{{ '}</tool_call>' }}"
    "{% endfor %}"
    "{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

Json byte_vocabulary() {
  Json vocabulary = Json::object();
  for (uint32_t byte = 0; byte < kByteTokens; ++byte) {
    std::string letter;
    append_code_point(kByteAlphabet.letter(static_cast<uint8_t>(byte)), letter);
    vocabulary[letter] = byte;
  }
  return vocabulary;
}

Json added_token(std::string_view text, bool special) {
  return {{"content", text}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false},  {"special", special}};
}

Json numbered_token(TokenId id, std::string_view text, bool special) {
  Json token = {{"id", id}};
  token.update(added_token(text, special));
  return token;
}

Json added_tokens() {
  Json tokens = Json::array();
  for (uint32_t word = 0; word < kWords; ++word) {
    tokens.push_back(numbered_token(kFirstSpacedWord + word, spaced_word(word), false));
  }
  for (uint32_t word = 0; word < kWords; ++word) {
    tokens.push_back(numbered_token(kFirstBareWord + word, spaced_word(word).substr(1), false));
  }
  tokens.push_back(numbered_token(kEndOfSequence, kEndOfSequenceText, true));
  return tokens;
}

Json byte_level() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", false}};
}

Json bytes_model() {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", byte_vocabulary()},
          {"merges", Json::array()}};
}

Result<void> write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return Error{"cannot write " + path.string()};
  return {};
}

}  // namespace

std::string tokenizer_json() {
  const Json tokenizer = {{"version", "1.0"},          {"truncation", nullptr},
                          {"padding", nullptr},        {"added_tokens", added_tokens()},
                          {"normalizer", nullptr},     {"pre_tokenizer", byte_level()},
                          {"post_processor", nullptr}, {"decoder", byte_level()},
                          {"model", bytes_model()}};
  return tokenizer.dump(1) + "\n";
}

std::string tokenizer_config_json() {
  const Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                       {"bos_token", nullptr},
                       {"eos_token", kEndOfSequenceText},
                       {"model_max_length", kModelMaxLength},
                       {"clean_up_tokenization_spaces", false},
                       // The end of sequence's name in a text is text, not the end of sequence.
                       {"split_special_tokens", true},
                       {"chat_template", kChatTemplate}};
  return config.dump(1) + "\n";
}

Result<void> write_tokenizer(const std::string& directory) {
  const std::filesystem::path folder(directory);
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return Error{"cannot make the directory " + directory + ": " + failure.message()};
  if (auto done = write_file(folder / "tokenizer.json", tokenizer_json()); !done) return done;
  return write_file(folder / "tokenizer_config.json", tokenizer_config_json());
}

}  // namespace kvasir
