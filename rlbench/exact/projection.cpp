// Mass at fractional places, shared by the whole places between which it lies, with the bits that `emulation.shared` has.
//
// Masses are added in their order, so that a row's bits hang on nothing else. A triangular kernel over all pairs of places would need the
// square of the operations.
#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <cmath>
#include <limits>

at::Tensor shared(const at::Tensor& mass, const at::Tensor& place) {
  TORCH_CHECK(mass.dim() == 2 && mass.sizes() == place.sizes() && mass.size(1) > 0, "mass of ", mass.sizes(), " at ", place.sizes());
  TORCH_CHECK(mass.scalar_type() == at::kFloat && place.scalar_type() == at::kFloat, "mass of ", mass.scalar_type(), " at ", place.scalar_type());
  at::Tensor masses = mass.contiguous(), places = place.contiguous(), out = at::zeros(mass.sizes(), mass.options());
  int64_t rows = mass.size(0), count = mass.size(1);
  const float *from = masses.const_data_ptr<float>(), *at = places.const_data_ptr<float>();
  float* to = out.data_ptr<float>();
  float last = float(count - 1);
  for (int64_t row = 0; row < rows; row++, from += count, at += count, to += count) {
    for (int64_t i = 0; i < count; i++) {
      if (std::isnan(at[i])) {
        to[0] = std::numeric_limits<float>::quiet_NaN();
        continue;
      }
      float inside = at[i] < 0 ? 0 : at[i] > last ? last : at[i];
      float below = std::floor(inside), share = inside - below;
      int64_t index = int64_t(below);
      to[index] += from[i] * (1 - share);
      if (share > 0) to[index + 1] += from[i] * share;
    }
  }
  return out;
}

TORCH_LIBRARY_IMPL(rlbench, CPU, library) { library.impl("shared", shared); }
