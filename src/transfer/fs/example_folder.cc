#include "transfer/fs/example_folder.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <variant>

#include "base/integer_text.h"
#include "transfer/fs/safetensors.h"
#include "transfer/fs/store_file.h"
#include "transfer/kv_fingerprint.h"

namespace kvasir {
namespace {

constexpr std::string_view kFingerprintKey = "kvasir.fingerprint";
constexpr std::string_view kLastBlockKey = "kvasir.last_block";
constexpr std::string_view kChecksumKey = "kvasir.xxh3";
constexpr std::string_view kSuffix = ".safetensors";
constexpr size_t kFilesMost = 4096;  // in one folder

// One layer's file as far as its header says.
struct LayerFile {
  StoreFile file;
  size_t data_at;
  std::string checksum;  // empty: somebody else's file
  bool ours = false;
};

enum class LayerFault : uint8_t { kMissing, kDamaged, kForeign };

struct LayerProblem {
  LayerFault fault;
  std::string words;
};

std::variant<LayerFile, LayerProblem> open_layer(const std::string& path,
                                                 const std::vector<uint64_t>& shape,
                                                 uint64_t data_bytes,
                                                 const std::string& fingerprint,
                                                 const std::string& last_block) {
  using Fault = LayerFault;
  Result<StoreFile> file = StoreFile::open(path);
  if (!file) return LayerProblem{Fault::kMissing, file.error().message};
  const Result<std::string> prefix = file->read(0, SafeTensors::kPrefixBytes);
  if (!prefix) return LayerProblem{Fault::kForeign, prefix.error().message};
  const Result<size_t> size = safetensors_header_bytes(*prefix);
  if (!size) return LayerProblem{Fault::kForeign, path + ": " + size.error().message};
  const Result<std::string> text = file->read(SafeTensors::kPrefixBytes, *size);
  if (!text) return LayerProblem{Fault::kForeign, text.error().message};
  const Result<SafeTensors> about = parse_safetensors_header(*text);
  if (!about) return LayerProblem{Fault::kForeign, path + ": " + about.error().message};

  const std::string* const whose = about->find_metadata(kFingerprintKey);
  const std::string* const checksum = about->find_metadata(kChecksumKey);
  const std::string* const block = about->find_metadata(kLastBlockKey);
  const bool signed_by_us = whose != nullptr && checksum != nullptr && block != nullptr;
  if (signed_by_us && *whose != fingerprint) {
    return LayerProblem{Fault::kForeign, path + ": it is of another model, layout or version"};
  }
  const size_t data_at = SafeTensors::kPrefixBytes + *size;
  const bool fits = about->tensors.size() == 1 && about->tensors.front().name == "kv_cache" &&
                    about->tensors.front().dtype == "F16" && about->tensors.front().shape == shape;
  if (!fits) {
    return LayerProblem{Fault::kForeign,
                        path + ": it does not hold one \"kv_cache\" of our type and shape"};
  }
  if (signed_by_us && *block != last_block) {
    return LayerProblem{Fault::kForeign,
                        path + ": these tokens were stored under another salt or adapter"};
  }
  if (file->size() != data_at + data_bytes) {
    return LayerProblem{signed_by_us ? Fault::kDamaged : Fault::kForeign,
                        path + ": its length is wrong"};
  }
  return LayerFile{std::move(file).value(), data_at, signed_by_us ? *checksum : "", signed_by_us};
}

bool exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

// [tokens, 1, values]; where a token's part of a layer is no whole number of values, [blocks, 1,
// values].
std::vector<uint64_t> layer_shape(const KvLayout& layout, uint32_t blocks) {
  const uint64_t values = layout.slice_bytes() / 2;
  if (values % layout.block_size != 0) return {blocks, 1, values};
  return {uint64_t{blocks} * layout.block_size, 1, values / layout.block_size};
}

}  // namespace

ExampleFolder::ExampleFolder(std::string path, uint64_t fingerprint, const KvLayout& layout)
    : path_(std::move(path)), fingerprint_(hexadecimal(fingerprint)), layout_(layout) {}

std::string ExampleFolder::layer_file(uint32_t layer) {
  return "model.layers." + std::to_string(layer) + ".self_attn.attn" + std::string(kSuffix);
}

std::string ExampleFolder::folder_of(std::span<const uint32_t> tokens) const {
  std::vector<uint64_t> wide(tokens.begin(), tokens.end());  // little-endian, as vLLM's hosts are
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(wide.data(), wide.size() * sizeof wide[0], digest.data(), &size, EVP_md5(), nullptr);
  std::string name;
  for (unsigned i = 0; i < size; ++i) name += hexadecimal(digest[i]).substr(14);
  return path_ + "/" + name;
}

// What a prompt's own worker stores of it: vLLM's align().
uint32_t ExampleFolder::saved_blocks(size_t tokens) const {
  return tokens == 0 ? 0 : static_cast<uint32_t>((tokens - 1) / layout_.block_size);
}

std::string ExampleFolder::folder_of_blocks(const StoredPrompt& prompt, uint32_t blocks) const {
  return folder_of(std::span(prompt.tokens).first(size_t{blocks} * layout_.block_size));
}

ExampleFolder::Checked ExampleFolder::check(const StoredPrompt& prompt, uint32_t blocks) const {
  const std::string folder = folder_of_blocks(prompt, blocks);
  if (!exists(folder)) return {State::kMissing, {}};
  const std::string last_block = hexadecimal(prompt.blocks[blocks - 1]);
  const Result<std::vector<std::string>> names = list_folder(folder, kFilesMost);
  if (!names) return {State::kForeign, names.error().message};
  const auto layers = std::count_if(names->begin(), names->end(), [](const std::string& name) {
    return name.size() > kSuffix.size() && name.ends_with(kSuffix);
  });
  bool ours = false;
  Checked worst{State::kWhole, {}};
  for (uint32_t layer = 0; layer < layout_.layers; ++layer) {
    auto opened = open_layer(folder + "/" + layer_file(layer), layer_shape(layout_, blocks),
                             uint64_t{blocks} * layout_.slice_bytes(), fingerprint_, last_block);
    if (const auto* file = std::get_if<LayerFile>(&opened)) {
      ours = ours || file->ours;
      continue;
    }
    const LayerProblem& problem = std::get<LayerProblem>(opened);
    if (problem.fault == LayerFault::kForeign) return {State::kForeign, problem.words};
    ours = ours || problem.fault == LayerFault::kDamaged;
    if (worst.state == State::kWhole) worst = {State::kDamaged, problem.words};
  }
  if (layers > static_cast<ptrdiff_t>(layout_.layers)) {
    return {State::kForeign, folder + " has " + std::to_string(layers) + " layers"};
  }
  if (worst.state == State::kDamaged && !ours) worst.state = State::kForeign;
  return worst;
}

// Where vLLM looks under align(n - 1) alone, and so never finds what it stored of a prompt whose
// last block has one token, the longer one is tried first.
ExampleFolder::Located ExampleFolder::locate(const StoredPrompt& prompt) const {
  const size_t tokens = prompt.tokens.size();
  const uint32_t all = saved_blocks(tokens);
  if (all == 0 || all > prompt.blocks.size()) return {};
  Checked longer = check(prompt, all);
  if (longer.state == State::kWhole) return {all, longer.state, {}};
  const uint32_t less = saved_blocks(tokens - 1);
  if (less == all || less == 0) return {0, longer.state, std::move(longer.problem)};
  Checked shorter = check(prompt, less);
  if (longer.problem.empty()) longer.problem = std::move(shorter.problem);
  const bool whole = shorter.state == State::kWhole;
  return {whole ? less : 0, longer.state, std::move(longer.problem)};
}

FoundBlocks ExampleFolder::find(const StoredPrompt& prompt) {
  if (!std::exchange(swept_, true)) remove_unfinished(path_);
  const uint32_t all = saved_blocks(prompt.tokens.size());
  if (all == 0 || all > prompt.blocks.size()) return {0, true, {}};
  Located located = locate(prompt);
  const bool kept = located.all == State::kWhole || located.all == State::kForeign;
  return {located.blocks, kept, std::move(located.problem)};
}

LoadedBlocks ExampleFolder::load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                                 std::span<std::byte> into) {
  LoadedBlocks loaded;
  Located located = locate(prompt);
  const uint32_t blocks = located.blocks;
  if (blocks == 0 || first > blocks || count > blocks - first) {
    loaded.problem = located.problem.empty() ? "it is gone" : std::move(located.problem);
    return loaded;
  }
  const std::string folder = folder_of_blocks(prompt, blocks);
  const std::string last_block = hexadecimal(prompt.blocks[blocks - 1]);
  const size_t slice = layout_.slice_bytes(), block_bytes = layout_.block_bytes();
  std::vector<std::byte> data(blocks * slice);
  for (uint32_t layer = 0; layer < layout_.layers; ++layer) {
    const std::string path = folder + "/" + layer_file(layer);
    auto opened =
        open_layer(path, layer_shape(layout_, blocks), data.size(), fingerprint_, last_block);
    const auto* file = std::get_if<LayerFile>(&opened);
    if (file == nullptr) {
      loaded.problem = std::get<LayerProblem>(opened).words;
      return loaded;
    }
    if (const Result<void> read = file->file.read(file->data_at, data); !read) {
      loaded.problem = read.error().message;
      return loaded;
    }
    if (file->ours && hexadecimal(kv_checksum(data)) != file->checksum) {
      loaded.problem = path + ": its checksum is wrong";
      return loaded;
    }
    for (uint32_t i = 0; i < count; ++i) {
      std::memcpy(into.data() + i * block_bytes + layer * slice, data.data() + (first + i) * slice,
                  slice);
    }
  }
  loaded.blocks = count;
  return loaded;
}

Result<void> ExampleFolder::save(const StoredPrompt& prompt, std::span<const std::byte> bytes) {
  const uint32_t blocks = std::min<uint32_t>(saved_blocks(prompt.tokens.size()),
                                             static_cast<uint32_t>(prompt.blocks.size()));
  if (blocks == 0) return {};
  const Checked there = check(prompt, blocks);
  if (there.state == State::kWhole) return {};
  if (there.state == State::kForeign) return Error{there.problem};

  const std::string unfinished = unfinished_path(path_);
  Result<void> done = write_layers(unfinished, prompt, blocks, bytes);
  const std::string folder = folder_of_blocks(prompt, blocks);
  if (done && !rename_path(unfinished, folder)) done = replace_layers(unfinished, folder);
  if (done) done = sync_folder(path_);
  if (!done) remove_path(unfinished);
  return done;
}

std::string ExampleFolder::layer_header(const StoredPrompt& prompt, uint32_t blocks,
                                        std::span<const std::span<const std::byte>> slices) const {
  SafeTensors about;
  const uint64_t size = uint64_t{blocks} * layout_.slice_bytes();
  about.tensors.push_back({"kv_cache", "F16", layer_shape(layout_, blocks), 0, size});
  about.metadata = {{std::string(kFingerprintKey), fingerprint_},
                    {std::string(kLastBlockKey), hexadecimal(prompt.blocks[blocks - 1])},
                    {std::string(kChecksumKey), hexadecimal(kv_checksum(slices))}};
  return write_safetensors_header(about);
}

Result<void> ExampleFolder::write_layers(const std::string& folder, const StoredPrompt& prompt,
                                         uint32_t blocks, std::span<const std::byte> bytes) const {
  if (const Result<void> made = make_folders(folder); !made) return made;
  const size_t slice = layout_.slice_bytes(), block = layout_.block_bytes();
  NewStoreFiles files;
  for (uint32_t layer = 0; layer < layout_.layers; ++layer) {
    std::vector<std::span<const std::byte>> pieces(1);  // the header comes first
    for (uint32_t i = 0; i < blocks; ++i) {
      pieces.push_back(bytes.subspan(i * block + layer * slice, slice));
    }
    const std::string header = layer_header(prompt, blocks, std::span(pieces).subspan(1));
    pieces.front() = bytes_of(header);
    const Result<void> written = files.write(folder + "/" + layer_file(layer), pieces);
    if (!written) return written;
  }
  const Result<void> done = files.finish();
  return done ? sync_folder(folder) : done;
}

// There is a folder of that name: another worker's, just now, or a damaged one of ours. A reader
// who comes in between finds files that are whole each, and all of the same bytes.
Result<void> ExampleFolder::replace_layers(const std::string& from, const std::string& to) const {
  for (uint32_t layer = 0; layer < layout_.layers; ++layer) {
    const Result<void> moved =
        rename_path(from + "/" + layer_file(layer), to + "/" + layer_file(layer));
    if (!moved) return moved;
  }
  remove_path(from);
  return sync_folder(to);
}

}  // namespace kvasir
