#include "supervise/log_tail.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/whole_file.h"

namespace kvasir {
namespace {

constexpr uint64_t kTailBytesMax = 8 * 1024;

// Not more than the tail's size, though the file may grow meanwhile.
std::string read_from(const std::string& path, uint64_t from) {
  if (!check_regular_file(path)) return {};
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  std::string text(kTailBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace

uint64_t file_size(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

std::string log_tail(const std::string& path, uint64_t from, size_t lines) {
  const uint64_t size = file_size(path);
  std::string text = read_from(path, std::max(from, size - std::min(size, kTailBytesMax)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t begin = text.size();
  for (size_t found = 0; found < lines && begin != 0; ++found) {
    const size_t newline = text.rfind('\n', begin - 1);
    begin = newline == std::string::npos ? 0 : newline;
  }
  text.erase(0, begin > 0 ? begin + 1 : 0);
  for (size_t at; (at = text.find('\n')) != std::string::npos;) text.replace(at, 1, "; ");
  return text;
}

}  // namespace kvasir
