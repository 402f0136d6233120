// Standard normal numbers from a counter-based generator, with the bits that `gaussian.emulated` has by the functions of this package.
//
// Philox4x32-10 (Salmon et al., 2011) gives four words for a counter, of which Box and Muller (1958) make four numbers. Every operation
// rounds once, in the order of `functions.py`; loops run over a block of counters, so that the compiler can use vectors.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <array>
#include <bit>
#include <cmath>

constexpr int BLOCK = 64;
using Words = std::array<uint64_t, BLOCK>;
using Doubles = std::array<double, BLOCK>;
constexpr uint64_t LOW32 = 0xFFFFFFFF;

static void philox(std::array<Words, 4>& counter, uint64_t key_0, uint64_t key_1) {
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < BLOCK; i++) {
      uint64_t one = (counter[0][i] & LOW32) * 0xD2511F53, two = (counter[2][i] & LOW32) * 0xCD9E8D57;
      counter[0][i] = (two >> 32) ^ counter[1][i] ^ key_0;
      counter[1][i] = two & LOW32;
      counter[2][i] = (one >> 32) ^ counter[3][i] ^ key_1;
      counter[3][i] = one & LOW32;
    }
    key_0 = (key_0 + 0x9E3779B9) & LOW32;
    key_1 = (key_1 + 0xBB67AE85) & LOW32;
  }
}

// A word as a number: its bits are the lowest of 2**52 + word.
static inline double number(uint64_t word) { return std::bit_cast<double>(word | 0x4330000000000000) - 4503599627370496.0; }

template <size_t N>
static inline double polynomial(double x, const double (&coefficients)[N]) {
  double value = coefficients[N - 1];
  for (int i = int(N) - 2; i >= 0; i--) value = coefficients[i] + x * value;
  return value;
}

constexpr double LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
constexpr double LOG[] = {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
                          1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01};
constexpr double TWO_OVER_PI = 6.36619772367581382433e-01, PI_OVER_2_HIGH = 1.57079632673412561417e+00, PI_OVER_2_LOW = 6.07710050650619224932e-11;
constexpr double SINE[] = {-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
                           2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10};
constexpr double COSINE[] = {4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
                             -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11};

// `exact.log` of numbers in (0, 1). The exponent is at most 0, and so counted from 2048, where no bit is a sign.
static inline double logarithm(double x) {
  uint64_t bits = std::bit_cast<uint64_t>(x);
  uint64_t shifted = (bits - 0x3FE6A09E667F3BCD + (uint64_t(2048) << 52)) >> 52;
  uint64_t scale = (shifted - 2048) << 52;
  double f = std::bit_cast<double>(bits - scale) - 1.0, power = number(shifted) - 2048.0;
  double s = f / (2.0 + f), z = s * s, rest = z * polynomial(z, LOG), square = 0.5 * f * f;
  return power * LN2_HIGH - ((square - (s * (square + rest) + power * LN2_LOW)) - f);
}

// Radius and angle of two words -> two normal numbers.
static void box_muller(const Words& of_radius, const Words& of_angle, Doubles& first, Doubles& second) {
  for (int i = 0; i < BLOCK; i++) {
    double radius = std::sqrt(-2.0 * logarithm((number(of_radius[i]) + 0.5) * 0x1p-32));
    double x = number(of_angle[i]) * (6.283185307179586 * 0x1p-32);
    double quarter_turns = std::nearbyint(x * TWO_OVER_PI);
    double y = (x - quarter_turns * PI_OVER_2_HIGH) - quarter_turns * PI_OVER_2_LOW, z = y * y;
    double sine_y = y + y * (z * polynomial(z, SINE)), cosine_y = 1.0 - z * (0.5 - z * polynomial(z, COSINE));
    double half_turns = 0.5 * quarter_turns;
    bool is_odd = std::floor(half_turns) != half_turns;
    double quadrant = quarter_turns - 4.0 * std::floor(0.25 * quarter_turns);
    double sine_sign = 1.0 - 2.0 * std::floor(0.5 * quadrant), cosine_sign = 2.0 * std::fabs(quadrant - 1.5) - 2.0;
    first[i] = radius * (cosine_sign * (is_odd ? sine_y : cosine_y));
    second[i] = radius * (sine_sign * (is_odd ? cosine_y : sine_y));
  }
}

at::Tensor normals(const at::Tensor& seed, const at::Tensor& name_space, const at::Tensor& step, int64_t stream, int64_t begin, int64_t count) {
  int64_t lanes = seed.numel();
  for (const at::Tensor& t : {seed, name_space, step})
    TORCH_CHECK(t.dim() == 1 && t.scalar_type() == at::kLong && t.numel() == lanes, "normals of ", t.sizes(), " of ", t.scalar_type());
  TORCH_CHECK(count >= 0 && begin >= 0 && begin + count / 4 < (int64_t(1) << 32), "normals from ", begin, ", ", count);
  at::Tensor out = at::empty({lanes, count}, seed.options().dtype(at::kFloat));
  for (int64_t lane = 0; lane < lanes; lane++) {
    float* to = out.data_ptr<float>() + lane * count;
    uint64_t at_step = step.const_data_ptr<int64_t>()[lane * step.stride(0)];
    for (int64_t done = 0; done < count; done += 4 * BLOCK) {
      std::array<Words, 4> counter;
      for (int i = 0; i < BLOCK; i++) {
        counter[0][i] = begin + done / 4 + i;
        counter[1][i] = stream;
        counter[2][i] = at_step & LOW32;
        counter[3][i] = at_step >> 32;
      }
      philox(counter, seed.const_data_ptr<int64_t>()[lane * seed.stride(0)], name_space.const_data_ptr<int64_t>()[lane * name_space.stride(0)]);
      std::array<Doubles, 4> found;
      box_muller(counter[0], counter[1], found[0], found[1]);
      box_muller(counter[2], counter[3], found[2], found[3]);
      for (int i = 0; i < BLOCK; i++)
        for (int j = 0; j < 4 && done + 4 * i + j < count; j++) to[done + 4 * i + j] = float(found[j][i]);
    }
  }
  return out;
}

TORCH_LIBRARY_IMPL(rlbench, CPU, library) { library.impl("normals", normals); }
