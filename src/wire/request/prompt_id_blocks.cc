#include "wire/request/prompt_id_blocks.h"

#include <cstring>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace kvasir {

#ifdef __SSE2__
namespace {

#define KVASIR_AVX2 __attribute__((target("avx2,bmi")))

// A bit for each byte of a block.
struct IdBlock {
  uint64_t commas = 0, spaces = 0, digits = 0;

  // Every byte is one of these; a comma stands behind a digit, a space behind a comma, and the
  // block begins with a digit.
  bool is_ids() const {
    const bool known = (commas | spaces | digits) == ~uint64_t{0};
    const uint64_t amiss = (commas & ~(digits << 1)) | (spaces & ~(commas << 1));
    return known && amiss == 0;
  }
};

KVASIR_AVX2 inline __m256i is_digit_value(__m256i values) {
  return _mm256_cmpeq_epi8(_mm256_min_epu8(values, _mm256_set1_epi8(9)), values);
}

KVASIR_AVX2 inline uint64_t bits_of(__m256i low, __m256i high) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(low)) |
         uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(high))} << 32;
}

KVASIR_AVX2 inline IdBlock look_at_block(const char* at) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32));
  const __m256i comma = _mm256_set1_epi8(',');
  const __m256i space = _mm256_set1_epi8(' ');
  const __m256i zero = _mm256_set1_epi8('0');
  IdBlock block;
  block.commas = bits_of(_mm256_cmpeq_epi8(low, comma), _mm256_cmpeq_epi8(high, comma));
  block.spaces = bits_of(_mm256_cmpeq_epi8(low, space), _mm256_cmpeq_epi8(high, space));
  block.digits = bits_of(is_digit_value(_mm256_sub_epi8(low, zero)),
                         is_digit_value(_mm256_sub_epi8(high, zero)));
  return block;
}

inline long long eight_bytes_before(const char* end) {
  long long bytes;
  std::memcpy(&bytes, end - sizeof bytes, sizeof bytes);
  return bytes;
}

// Four numbers, each of which ends with its lane of eight bytes. False: one fills its lane, or
// begins with a zero.
KVASIR_AVX2 inline bool read_four(__m256i bytes, uint32_t* out) {
  const __m256i values = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
  // All ones in what stands before the number: whatever is no digit, and every byte before it.
  __m256i before = _mm256_xor_si256(is_digit_value(values), _mm256_set1_epi8(-1));
  before = _mm256_or_si256(before, _mm256_srli_epi64(before, 8));
  before = _mm256_or_si256(before, _mm256_srli_epi64(before, 16));
  before = _mm256_or_si256(before, _mm256_srli_epi64(before, 32));
  const __m256i first = _mm256_andnot_si256(before, _mm256_slli_epi64(before, 8));
  const __m256i zeros = _mm256_cmpeq_epi8(values, _mm256_setzero_si256());
  const __m256i not_last = _mm256_set1_epi64x(0x00ffffffffffffff);
  const __m256i leading_zeros = _mm256_and_si256(_mm256_and_si256(first, zeros), not_last);
  const __m256i too_long = _mm256_andnot_si256(before, _mm256_set1_epi64x(0xff));
  const __m256i odd = _mm256_or_si256(leading_zeros, too_long);
  if (!_mm256_testz_si256(odd, odd)) return false;

  const __m256i digits = _mm256_andnot_si256(before, values);
  const __m256i pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(10 | 1 << 8));
  const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(100 | 1 << 16));
  const __m256i numbers = _mm256_add_epi64(_mm256_mul_epu32(fours, _mm256_set1_epi64x(10'000)),
                                           _mm256_srli_epi64(fours, 32));
  const __m256i together =
      _mm256_permutevar8x32_epi32(numbers, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(together));
  return true;
}

KVASIR_AVX2 IdsRead read_by_32(const char* at, const char* end, uint32_t* out, size_t room) {
  size_t count = 0;
  while (end - at >= static_cast<ptrdiff_t>(kIdBlockBytes) && room - count >= kIdBlockIds) {
    const IdBlock block = look_at_block(at);
    if (!block.is_ids()) break;
    const char* const begin = at;
    uint64_t commas = block.commas;
    for (;;) {
      const char* ends[4];
      uint64_t rest = commas;
      for (const char*& id_end : ends) {
        id_end = begin + _tzcnt_u64(rest);
        rest = _blsr_u64(rest);
      }
      // Of fewer than four the last ends lie behind the block.
      if (ends[3] == begin + kIdBlockBytes) break;
      const __m256i bytes =
          _mm256_set_epi64x(eight_bytes_before(ends[3]), eight_bytes_before(ends[2]),
                            eight_bytes_before(ends[1]), eight_bytes_before(ends[0]));
      if (!read_four(bytes, out + count)) return {at, count};
      count += 4;
      commas = rest;
      at = ends[3] + 1;
      if (at != end && *at == ' ') ++at;
    }
    if (at == begin) break;
  }
  return {at, count};
}

#undef KVASIR_AVX2

const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0;

}  // namespace
#endif

IdsRead read_id_blocks(const char* at, [[maybe_unused]] const char* end,
                       [[maybe_unused]] uint32_t* out, [[maybe_unused]] size_t room) {
#ifdef __SSE2__
  if (kHasAvx2) return read_by_32(at, end, out, room);
#endif
  return {at, 0};
}

}  // namespace kvasir
