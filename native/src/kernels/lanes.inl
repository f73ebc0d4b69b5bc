// SPDX-License-Identifier: Apache-2.0
// Reductions of a vector's elements to one number, from the first element on. See all_kernels.inl.

namespace {

INLINE double sum_of_lanes_in_double(vec a) {
  float lanes[kWidth];
  store(lanes, a);
  double sum = 0.0;
  for (const float lane : lanes) {
    sum += static_cast<double>(lane);
  }
  return sum;
}

INLINE float largest_lane(vec a) {
  float lanes[kWidth];
  store(lanes, a);
  float result = lanes[0];
  for (int32_t i = 1; i < kWidth; ++i) {
    result = lanes[i] > result ? lanes[i] : result;
  }
  return result;
}

}  // namespace
