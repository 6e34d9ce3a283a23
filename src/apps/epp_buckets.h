// The buckets of the picker's histograms. Upstream's, to the digit (32778 is theirs), unless it
// says fine: those have more below, as a pick takes microseconds.
#pragma once

#include <vector>

namespace kvasir::epp_buckets {

inline const std::vector<double> kScheduling = {0.0001, 0.0002, 0.0005, 0.001, 0.002,
                                                0.005,  0.01,   0.02,   0.05,  0.1};
inline const std::vector<double> kFineScheduling = {1e-6,   2e-6,   5e-6,   1e-5,  2e-5,  5e-5,
                                                    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005,
                                                    0.01,   0.02,   0.05,   0.1};
inline const std::vector<double> kDuration = {0.005, 0.025, 0.05, 0.1, 0.2,  0.4,  0.6,  0.8, 1,
                                              1.25,  1.5,   2,    3,   4,    5,    6,    8,   10,
                                              15,    20,    30,   45,  60,   120,  180,  240, 300,
                                              360,   480,   600,  900, 1200, 1800, 2700, 3600};
inline const std::vector<double> kFirstToken = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8,
                                                1,     1.25,  1.5,  2,   3,   4,   5,   6,
                                                8,     10,    15,   20,  30,  45,  60,  120};
inline const std::vector<double> kPerToken = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                              0.2,   0.5,   1,     2,    5,    10};
inline const std::vector<double> kStreamingPerToken = {
    0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125,
    0.15,   0.2,     0.3,   0.4,  0.5,  0.6,  0.8,  1,    2};
inline const std::vector<double> kRequestBytes = {
    64,       128,      256,      512,       1024,      2048,      4096,      8192,    16384,
    32768,    65536,    131072,   262144,    524288,    1048576,   2097152,   4194304, 8388608,
    16777216, 33554432, 67108864, 134217728, 268435456, 536870912, 1073741824};
inline const std::vector<double> kAnswerBytes = {1,    8,    16,   32,   64,    128,   256,  512,
                                                 1024, 2048, 4096, 8192, 16384, 32778, 65536};
inline const std::vector<double> kInputTokens = {
    1,    8,    16,    32,    64,    128,    256,    512,    1024,   2048,
    4096, 8192, 16384, 32778, 65536, 131072, 262144, 524288, 1048576};
inline const std::vector<double> kOutputTokens = {1,   8,   16,   32,   64,   128,
                                                  256, 512, 1024, 2048, 4096, 8192};
inline const std::vector<double> kRatio = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
inline const std::vector<double> kMatchedBytes = {0,    16,   32,   64,   128,   256,   512,
                                                  1024, 2048, 4096, 8192, 16384, 32768, 65536};
inline const std::vector<double> kProcessing = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
inline const std::vector<double> kAnswerProcessing = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};
inline const std::vector<double> kStream = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1,
                                            5,     10,    30,   60,   120, 300, 600};
inline const std::vector<double> kQueue = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
                                           0.25,   0.5,    1,     2.5,   5,    10,    30,   60};
inline const std::vector<double> kRevocation = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                0.5,   1,    2.5,   5,    10};

}  // namespace kvasir::epp_buckets
