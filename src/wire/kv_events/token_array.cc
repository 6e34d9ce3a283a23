#include "wire/kv_events/token_array.h"

#include <bit>
#include <cstddef>
#include <cstring>

#ifdef __x86_64__
#include <tmmintrin.h>
#endif

namespace kvasir {
namespace {

constexpr size_t kLongestInteger = 9;

uint64_t big_endian_64(const char* at) {
  uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

// One token at `at`, behind which nine bytes can be read; returns the end of it, or nullptr.
const char* read_token(const char* at, uint32_t& token) {
  const uint8_t head = static_cast<uint8_t>(*at);
  const uint64_t ahead = big_endian_64(at + 1);
  if (head == 0xcd) {
    token = static_cast<uint32_t>(ahead >> 48);
    return at + 3;
  }
  if (head == 0xce) {
    token = static_cast<uint32_t>(ahead >> 32);
    return at + 5;
  }
  if (head < 0x80) {
    token = head;
    return at + 1;
  }
  if (head == 0xcc) {
    token = static_cast<uint32_t>(ahead >> 56);
    return at + 2;
  }
  if (head == 0xcf && ahead <= UINT32_MAX) {  // longer than need be, but an integer
    token = static_cast<uint32_t>(ahead);
    return at + kLongestInteger;
  }
  return nullptr;
}

#ifdef __x86_64__

constexpr size_t kLaneBytes = 16;
constexpr ptrdiff_t kBytesBefore = 4;  // how far before `at` a lane may read

// By the length of a token, which is 1, 2, 3 or 5: which bits of the four bytes before its end are
// its number, and which of them it must not have (a single byte that is no number).
constexpr uint32_t kNumberBits[] = {0, 0xff, 0xff, 0xffff, 0, 0xffffffff};
constexpr uint32_t kForbiddenBits[] = {0, 0x80, 0, 0, 0, 0};

// `ends`: where the tokens of a lane end, from `at`; the first is where they begin. Answers how
// many were taken: all or none.
template <size_t kTokens>
size_t take_tokens(const char*& at, const uint32_t (&ends)[6], uint32_t* tokens) {
  uint32_t forbidden = 0;
  for (size_t i = 0; i < kTokens; ++i) {
    const uint32_t length = ends[i + 1] - ends[i];
    uint32_t before_end = 0;
    std::memcpy(&before_end, at + ends[i + 1] - sizeof before_end, sizeof before_end);
    tokens[i] = __builtin_bswap32(before_end) & kNumberBits[length];
    forbidden |= tokens[i] & kForbiddenBits[length];
  }
  if (forbidden != 0) return 0;
  at += ends[kTokens];
  return kTokens;
}

// Where a token ends depends on where it begins, and so on: read one by one, each waits for the one
// before, or for a wrong guess of how long that is. Here the length of a token is looked up for all
// 16 places where one could begin; hopping from place to place then needs no memory and no guess.
//
// Reads five tokens at a time if they fit 16 bytes, else three, while there are so many and none is
// of another form than those of 1, 2, 3 and 5 bytes. Moves `at`; answers how many it has read.
// Precondition: kBytesBefore bytes before `at` can be read.
__attribute__((target("ssse3"))) size_t read_lanes(const char*& at, const char* end, size_t count,
                                                   uint32_t* tokens) {
  // A place is written as 0x70 and more, so that one beyond the lane has its highest bit set, for
  // which a shuffle gives 0: a hop that went wrong is seen by the next one, or beyond 0x7f.
  constexpr uint32_t kPlace = 0x70;
  constexpr uint32_t kLastPlace = 0x7f;
  const __m128i places = _mm_setr_epi8(0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79,
                                       0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f);
  // Of a head less 0xcb, or 0: one byte in all, or two, three, five; else too far for any lane.
  constexpr char kFar = -128;
  const __m128i lengths = _mm_setr_epi8(1, 2, 3, 5, kFar, kFar, kFar, kFar, kFar, kFar, kFar, kFar,
                                        kFar, kFar, kFar, kFar);
  const auto place = [](__m128i hops) {
    return static_cast<uint32_t>(_mm_cvtsi128_si32(hops)) & 0xff;
  };
  size_t done = 0;
  while (count - done >= 5 && static_cast<size_t>(end - at) >= kLaneBytes) {
    const __m128i lane = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i head = _mm_subs_epu8(lane, _mm_set1_epi8(static_cast<char>(0xcb)));
    const __m128i length = _mm_shuffle_epi8(lengths, _mm_min_epu8(head, _mm_set1_epi8(15)));
    const __m128i next = _mm_adds_epu8(places, length);
    const __m128i second = _mm_shuffle_epi8(next, next);
    const __m128i third = _mm_shuffle_epi8(next, second);
    const __m128i fourth = _mm_shuffle_epi8(next, third);
    const __m128i fifth = _mm_shuffle_epi8(next, fourth);
    const uint32_t at_second = place(second), at_third = place(third);
    const uint32_t at_fourth = place(fourth), at_fifth = place(fifth);
    const uint32_t ends[6] = {0,
                              place(next) - kPlace,
                              at_second - kPlace,
                              at_third - kPlace,
                              at_fourth - kPlace,
                              at_fifth - kPlace};
    const bool three = (at_second & at_third & kPlace) == kPlace && at_third <= kLastPlace;
    const bool five = three && (at_fourth & at_fifth & kPlace) == kPlace && at_fifth <= kLastPlace;
    if (!three) break;
    const size_t taken =
        five ? take_tokens<5>(at, ends, tokens + done) : take_tokens<3>(at, ends, tokens + done);
    if (taken == 0) break;
    done += taken;
  }
  return done;
}

#else

constexpr ptrdiff_t kBytesBefore = 0;

size_t read_lanes(const char*&, const char*, size_t, uint32_t*) {
  return 0;
}

#endif

bool has_lanes() {
#ifdef __x86_64__
  return __builtin_cpu_supports("ssse3") != 0;
#else
  return false;
#endif
}

}  // namespace

std::optional<size_t> read_token_array(std::string_view bytes, size_t count, uint32_t* tokens) {
  static const bool kLanes = has_lanes();
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  size_t done = 0;
  while (done < count && static_cast<size_t>(end - at) >= kLongestInteger) {
    if (kLanes && at - bytes.data() >= kBytesBefore) {
      done += read_lanes(at, end, count - done, tokens + done);
    }
    if (done == count || static_cast<size_t>(end - at) < kLongestInteger) break;
    at = read_token(at, tokens[done]);
    if (at == nullptr) return std::nullopt;
    ++done;
  }
  char last[2 * kLongestInteger] = {};  // what is left, with room behind it to read beyond
  const size_t left = done < count ? static_cast<size_t>(end - at) : 0;
  if (left > 0) std::memcpy(last, at, left);
  const char* from = last;
  for (; done < count; ++done) {
    if (from >= last + left) return std::nullopt;
    from = read_token(from, tokens[done]);
    if (from == nullptr || from > last + left) return std::nullopt;
  }
  return static_cast<size_t>(at - bytes.data()) + static_cast<size_t>(from - last);
}

}  // namespace kvasir
