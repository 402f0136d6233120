// Softmax of rows, each while it is in the cache, with the bits that `emulation.softmax` has.
//
// The exponential is that of Cephes (Moshier, 1992), expf.c, in float32: for arguments up to 0, which is all that is asked for once the
// largest number of a row is subtracted. Within 1 unit in the last place; 0 below -87.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <bit>
#include <limits>
#include <tuple>

#include "parts.h"

// Added to a whole number below 2**22, it leaves that number in the lowest bits.
constexpr float WHOLE = 12582912.0f;  // 1.5 * 2**23

static inline float raised(float x) {
  float shifted = x * 1.44269504088896341f + WHOLE, k = shifted - WHOLE;
  float r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  float value = (p * (r * r) + r) + 1.0f;
  float power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) + 127) << 23);
  return x < -87.0f ? 0.0f : value * power;
}

// Of rows x [R, N]: their softmax, and the sum of exp(x - largest) and the largest of each row, [R].
std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2 && x.size(1) > 0 && x.scalar_type() == at::kFloat, "softmax of ", x.sizes(), " of ", x.scalar_type());
  at::Tensor from = x.contiguous(), out = at::empty_like(from);
  int64_t rows = x.size(0), count = x.size(1), whole = count / PARTS * PARTS;
  at::Tensor totals = at::empty({rows}, x.options()), largest = at::empty({rows}, x.options());
  const float* at = from.const_data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t row = 0; row < rows; row++, at += count, to += count) {
    float part[PARTS];
    for (int j = 0; j < PARTS; j++) part[j] = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < whole; i += PARTS)
      for (int j = 0; j < PARTS; j++) part[j] = at[i + j] > part[j] ? at[i + j] : part[j];
    for (int64_t i = whole; i < count; i++) part[i - whole] = at[i] > part[i - whole] ? at[i] : part[i - whole];
    UNROLL for (int half = PARTS / 2; half > 0; half /= 2)
      UNROLL for (int j = 0; j < half; j++) part[j] = part[j + half] > part[j] ? part[j + half] : part[j];
    float most = part[0];
    for (int64_t i = 0; i < count; i++) to[i] = raised(at[i] - most);
    float total = sum_of_row(to, count);
    for (int64_t i = 0; i < count; i++) to[i] /= total;
    totals.data_ptr<float>()[row] = total;
    largest.data_ptr<float>()[row] = most;
  }
  return {out, totals, largest};
}

TORCH_LIBRARY_IMPL(rlbench, CPU, library) { library.impl("softmax", softmax); }
