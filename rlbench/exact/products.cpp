// Products and sums of lanes whose bits are the same on every CPU with fused multiply-add.
//
// Every element of a product is one chain  c = fma(a[m, k], b[k, n], c),  k = 0 ... K-1,  from the bias or from 0. Vectors run along n and
// tiles say which chains run side by side, so neither the width of vectors, nor the tile, nor the number of lanes, rows or columns, nor the
// place in memory can change a bit. Sums are those of `parts.h`. Nothing else here rounds. Compiled without contraction: what is fused is
// written as fused.
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "parts.h"

// A tile has ROWS x (2 WIDTH) chains: as many as the registers hold beside two vectors of b and one of a.
#if defined(__AVX512F__)
#include <immintrin.h>
constexpr int WIDTH = 16, ROWS = 12;
using Vec = __m512;
static inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
static inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
static inline Vec all(float x) { return _mm512_set1_ps(x); }
static inline Vec fused(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline Vec larger(Vec a, Vec b) { return _mm512_max_ps(a, b); }
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
constexpr int WIDTH = 8, ROWS = 6;
using Vec = __m256;
static inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
static inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
static inline Vec all(float x) { return _mm256_set1_ps(x); }
static inline Vec fused(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline Vec larger(Vec a, Vec b) { return _mm256_max_ps(a, b); }
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
constexpr int WIDTH = 4, ROWS = 12;
using Vec = float32x4_t;
static inline Vec load(const float* p) { return vld1q_f32(p); }
static inline void store(float* p, Vec v) { vst1q_f32(p, v); }
static inline Vec all(float x) { return vdupq_n_f32(x); }
static inline Vec fused(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
static inline Vec larger(Vec a, Vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
#else
constexpr int WIDTH = 1, ROWS = 6;
using Vec = float;
static inline Vec load(const float* p) { return *p; }
static inline void store(float* p, Vec v) { *p = v; }
static inline Vec all(float x) { return x; }
static inline Vec fused(Vec a, Vec b, Vec c) { return std::fma(a, b, c); }
static inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }
#endif
constexpr int PANEL = 2 * WIDTH;

struct Matrix {
  const float* at;
  int64_t row, column;  // strides
  const float* operator()(int64_t i, int64_t j) const { return at + i * row + j * column; }
};

static Matrix of_lane(const at::Tensor& t, int64_t lane) {
  return {t.const_data_ptr<float>() + lane * t.stride(0), t.stride(1), t.stride(2)};
}

static Matrix transposed(Matrix m) { return {m.at, m.column, m.row}; }

// What stands at the edges of a product: the bias, of which there is one row, its numbers `apart` from each other, or none; and whether
// negative results become 0.
struct Ends {
  const float* bias;
  int64_t apart;
  bool positive;
};

// R rows of V vectors of columns: c = ends(a b). b has rows of `ldb`, `columns` of the V * WIDTH are stored.
template <int R, int V>
static void tile(Matrix a, const float* b, int64_t ldb, Ends ends, float* c, int64_t ldc, int64_t depth, int64_t columns) {
  Vec sum[R][V];
  UNROLL for (int v = 0; v < V; v++) {
    Vec first = ends.bias ? load(ends.bias + v * WIDTH) : all(0);
    UNROLL for (int r = 0; r < R; r++) sum[r][v] = first;
  }
  const float* left = a.at;
  for (int64_t k = 0; k < depth; k++, left += a.column, b += ldb) {
    Vec right[V];
    UNROLL for (int v = 0; v < V; v++) right[v] = load(b + v * WIDTH);
    UNROLL for (int r = 0; r < R; r++) {
      Vec x = all(left[r * a.row]);
      UNROLL for (int v = 0; v < V; v++) sum[r][v] = fused(x, right[v], sum[r][v]);
    }
  }
  // A number that is none stays none: the second operand is taken.
  if (ends.positive) UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < V; v++) sum[r][v] = larger(all(0), sum[r][v]);
  if (columns == V * WIDTH) {
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < V; v++) store(c + r * ldc + v * WIDTH, sum[r][v]);
    return;
  }
  float row[V * WIDTH];
  for (int r = 0; r < R; r++) {
    UNROLL for (int v = 0; v < V; v++) store(row + v * WIDTH, sum[r][v]);
    std::memcpy(c + r * ldc, row, columns * sizeof(float));
  }
}

using Tile = void (*)(Matrix, const float*, int64_t, Ends, float*, int64_t, int64_t, int64_t);
template <int V, int... R>
static constexpr std::array<Tile, sizeof...(R)> tiles(std::integer_sequence<int, R...>) {
  return {tile<R + 1, V>...};
}
static constexpr auto NARROW = tiles<1>(std::make_integer_sequence<int, 2 * ROWS>{});
static constexpr auto WIDE = tiles<2>(std::make_integer_sequence<int, ROWS>{});

static float* scratch(int which, int64_t size) {
  static thread_local std::vector<float> kept[4];
  if (static_cast<int64_t>(kept[which].size()) < size) kept[which].resize(size);
  return kept[which].data();
}

// `columns` columns of b, as rows of `width` numbers side by side.
static void pack(Matrix b, int64_t depth, int64_t columns, int64_t width, float* packed) {
  if (columns < width) std::memset(packed, 0, depth * width * sizeof(float));
  if (b.column == 1) {
    for (int64_t k = 0; k < depth; k++) std::memcpy(packed + k * width, b(k, 0), columns * sizeof(float));
    return;
  }
  for (int64_t begin = 0; begin < depth; begin += 8) {  // eight rows at once: whole cache lines are read and written
    int64_t rows = std::min<int64_t>(8, depth - begin);
    for (int64_t j = 0; j < columns; j++)
      for (int64_t k = begin; k < begin + rows; k++) packed[k * width + j] = *b(k, j);
  }
}

// c[rows, columns] = ends(a[rows, depth] b[depth, columns]); c lies in rows of `columns`.
static void product(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, Ends ends, float* c) {
  for (int64_t n = 0; n < columns; n += PANEL) {
    int64_t wanted = std::min<int64_t>(PANEL, columns - n);
    bool wide = wanted > WIDTH;
    int64_t width = wide ? PANEL : WIDTH;
    const float* panel = b(0, n);
    int64_t ldb = b.row;
    float bias[PANEL] = {};
    if (ends.bias)
      for (int64_t j = 0; j < wanted; j++) bias[j] = ends.bias[(n + j) * ends.apart];
    if (b.column != 1 || wanted != width) {
      float* packed = scratch(0, depth * width);
      pack({panel, b.row, b.column}, depth, wanted, width, packed);
      panel = packed, ldb = width;
    }
    int64_t most = wide ? ROWS : 2 * ROWS, count = (rows + most - 1) / most;
    for (int64_t i = 0, m = 0; i < count; i++) {  // tiles of nearly equal height
      int64_t height = (rows - m + count - i - 1) / (count - i);
      Tile kind = wide ? WIDE[height - 1] : NARROW[height - 1];
      kind({a(m, 0), a.row, a.column}, panel, ldb, {ends.bias ? bias : nullptr, 1, ends.positive}, c + m * columns + n,
                        columns, depth, wanted);
      m += height;
    }
  }
}

static void check(const at::Tensor& t, int64_t axes) {
  TORCH_CHECK(t.dim() == axes && t.scalar_type() == at::kFloat, "expected ", axes, " axes of float32, got ", t.sizes(), " of ", t.scalar_type());
}

// Of a layer: its weight is [lanes, depth, any], its bias, if it has one, [lanes, 1, columns]. Before the first number is read.
static void check_layer(int64_t lanes, int64_t depth, const at::Tensor& weight, const at::Tensor* bias) {
  check(weight, 3);
  TORCH_CHECK(weight.size(0) == lanes && weight.size(1) == depth, "no product of ", lanes, " lanes of depth ", depth, " and ", weight.sizes());
  if (!bias) return;
  check(*bias, 3);
  TORCH_CHECK(bias->size(0) == lanes && bias->size(1) == 1 && bias->size(2) == weight.size(2), "a bias of ", bias->sizes(), " for a weight of ", weight.sizes());
}

static void check_sizes(const at::Tensor& t, at::IntArrayRef wanted) {
  check(t, wanted.size());
  TORCH_CHECK(t.sizes() == wanted, "expected ", wanted, ", got ", t.sizes());
}

at::Tensor affine(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias, bool positive) {
  check(x, 3), check_layer(x.size(0), x.size(2), weight, bias ? &*bias : nullptr);
  int64_t lanes = x.size(0), rows = x.size(1), depth = x.size(2), columns = weight.size(2);
  at::Tensor y = at::empty({lanes, rows, columns}, x.options());
  for (int64_t lane = 0; lane < lanes; lane++) {
    Ends ends{bias ? of_lane(*bias, lane).at : nullptr, bias ? bias->stride(2) : 1, positive};
    product(rows, columns, depth, of_lane(x, lane), of_lane(weight, lane), ends, y.data_ptr<float>() + lane * rows * columns);
  }
  return y;
}

// Of a lane: the gradient with zeros where the output was cut, and its sums over rows, in the order of rows.
static void cut(Matrix gradient, Matrix y, bool positive, int64_t rows, int64_t columns, float* kept, float* sums) {
  std::memset(sums, 0, columns * sizeof(float));
  for (int64_t m = 0; m < rows; m++) {
    const float *g = gradient(m, 0), *out = y(m, 0);
    float* row = kept + m * columns;
    if (gradient.column == 1 && y.column == 1)
      for (int64_t n = 0; n < columns; n++) row[n] = positive && !(out[n] > 0) ? 0.0f : g[n];
    else
      for (int64_t n = 0; n < columns; n++) row[n] = positive && !(out[n * y.column] > 0) ? 0.0f : g[n * gradient.column];
    for (int64_t n = 0; n < columns; n++) sums[n] += row[n];
  }
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> affine_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                                                               const at::Tensor& y, bool positive, bool wants_x) {
  check(x, 3), check_layer(x.size(0), x.size(2), weight, nullptr);
  int64_t lanes = x.size(0), rows = x.size(1), depth = x.size(2), columns = weight.size(2);
  check_sizes(gradient, {lanes, rows, columns}), check_sizes(y, {lanes, rows, columns});
  at::Tensor of_x = at::empty({lanes, wants_x ? rows : 0, depth}, x.options());
  at::Tensor of_weight = at::empty({lanes, depth, columns}, x.options()), of_bias = at::empty({lanes, 1, columns}, x.options());
  float* kept = scratch(1, rows * columns);
  Ends none{nullptr, 1, false};
  for (int64_t lane = 0; lane < lanes; lane++) {
    cut(of_lane(gradient, lane), of_lane(y, lane), positive, rows, columns, kept, of_bias.data_ptr<float>() + lane * columns);
    Matrix own{kept, columns, 1};
    product(depth, columns, rows, transposed(of_lane(x, lane)), own, none, of_weight.data_ptr<float>() + lane * depth * columns);
    if (wants_x)
      product(rows, depth, columns, own, transposed(of_lane(weight, lane)), none, of_x.data_ptr<float>() + lane * rows * depth);
  }
  return {of_x, of_weight, of_bias};
}

// Affine layers with zeros in place of negative results between them, lane by lane, so that what one layer hands to the next stays in the
// cache. Kept are the outputs of all layers, a lane's one after the other; without `keeps`, of the last one only.
at::Tensor layers(const at::Tensor& x, at::TensorList weights, at::TensorList biases, bool keeps) {
  check(x, 3);
  int64_t lanes = x.size(0), rows = x.size(1), deep = x.size(2), count = weights.size(), width = 0;
  TORCH_CHECK(count > 0 && weights.size() == biases.size(), count, " weights and ", biases.size(), " biases");
  for (int64_t i = 0; i < count; i++) {
    check_layer(lanes, deep, weights[i], &biases[i]);
    deep = weights[i].size(2);
    width = keeps || i == count - 1 ? width + deep : 0;
  }
  at::Tensor kept = at::empty({lanes, rows * width}, x.options());
  for (int64_t lane = 0; lane < lanes; lane++) {
    Matrix in = of_lane(x, lane);
    float* out = kept.data_ptr<float>() + lane * rows * width;
    for (int64_t i = 0; i < count; i++) {
      int64_t depth = weights[i].size(1), columns = weights[i].size(2);
      float* to = keeps || i == count - 1 ? out : scratch(2 + i % 2, rows * columns);
      product(rows, columns, depth, in, of_lane(weights[i], lane), {of_lane(biases[i], lane).at, biases[i].stride(2), i < count - 1}, to);
      in = {to, columns, 1};
      out += keeps ? rows * columns : 0;
    }
  }
  return kept;
}

// The derivatives of `layers` in x (or no rows), and in each layer's weight and bias, a lane's one after the other.
std::tuple<at::Tensor, at::Tensor> layers_backward(const at::Tensor& gradient, const at::Tensor& x, at::TensorList weights,
                                                   const at::Tensor& kept, bool wants_x) {
  check(x, 3);
  int64_t lanes = x.size(0), rows = x.size(1), deep = x.size(2), count = weights.size(), size = 0, width = 0;
  for (const at::Tensor& weight : weights) {
    check_layer(lanes, deep, weight, nullptr);
    deep = weight.size(2), width += deep;
    size += (weight.size(1) + 1) * deep;
  }
  check_sizes(gradient, {lanes, rows, deep}), check_sizes(kept, {lanes, rows * width});
  TORCH_CHECK(kept.is_contiguous(), "the outputs of layers are kept side by side");
  at::Tensor of_x = at::empty({lanes, wants_x ? rows : 0, x.size(2)}, x.options()), found = at::empty({lanes, size}, x.options());
  Ends none{nullptr, 1, false};
  for (int64_t lane = 0; lane < lanes; lane++) {
    Matrix next = of_lane(gradient, lane);
    const float* y = kept.const_data_ptr<float>() + (lane + 1) * kept.size(1);
    float* to = found.data_ptr<float>() + (lane + 1) * size;
    for (int64_t i = count - 1; i >= 0; i--) {
      int64_t depth = weights[i].size(1), columns = weights[i].size(2);
      y -= rows * columns;
      to -= (depth + 1) * columns;
      float* cut_off = scratch(1, rows * columns);
      cut(next, {y, columns, 1}, i < count - 1, rows, columns, cut_off, to + depth * columns);
      Matrix own{cut_off, columns, 1}, in = i > 0 ? Matrix{y - rows * depth, depth, 1} : of_lane(x, lane);
      product(depth, columns, rows, transposed(in), own, none, to);
      if (i == 0 && !wants_x) break;
      float* of_in = i > 0 ? scratch(2 + i % 2, rows * depth) : of_x.data_ptr<float>() + lane * rows * depth;
      product(rows, depth, columns, own, transposed(of_lane(weights[i], lane)), none, of_in);
      next = {of_in, depth, 1};
    }
  }
  return {of_x, found};
}

// PyTorch's own roots come from a library, which does not round all of them exactly. Compiled code uses the CPU's, as this does.
at::Tensor roots(const at::Tensor& given) {
  at::Tensor x = given.contiguous(), out = at::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "sqrt", [&] {
    const scalar_t* from = x.const_data_ptr<scalar_t>();
    scalar_t* to = out.data_ptr<scalar_t>();
    for (int64_t i = 0; i < x.numel(); i++) to[i] = std::sqrt(from[i]);
  });
  return out;
}

template <typename T>
static void sum_rows(const at::Tensor& x, at::Tensor& out) {
  const T* at = x.const_data_ptr<T>();
  int64_t count = x.size(1);
  for (int64_t row = 0; row < x.size(0); row++, at += count) out.data_ptr<T>()[row] = sum_of_row(at, count);
}

at::Tensor sums(const at::Tensor& x) {
  at::Tensor rows = x.contiguous(), out = at::empty({x.size(0)}, x.options());
  TORCH_CHECK(x.dim() == 2 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble), "sums of ", x.sizes(), " of ", x.scalar_type());
  x.scalar_type() == at::kDouble ? sum_rows<double>(rows, out) : sum_rows<float>(rows, out);
  return out;
}

// The sums of squares of each lane over all tensors [lanes, ...], which go on in the same partial sums, one after the other.
at::Tensor square_sums(at::TensorList xs) {
  TORCH_CHECK(xs.size() > 0, "no tensors to sum the squares of");
  for (const at::Tensor& x : xs) {
    TORCH_CHECK(x.dim() > 0 && x.scalar_type() == at::kFloat && x.size(0) == xs[0].size(0), "squares of ", x.sizes(), " of ", x.scalar_type(), " beside ", xs[0].sizes());
  }
  int64_t lanes = xs[0].size(0);
  at::Tensor out = at::empty({lanes}, xs[0].options());
  if (lanes == 0) return out;
  std::vector<at::Tensor> rows;
  for (const at::Tensor& x : xs) rows.push_back(x.select(0, 0).is_contiguous() ? x : x.contiguous());
  for (int64_t lane = 0; lane < lanes; lane++) {
    float part[PARTS] = {};
    for (const at::Tensor& x : rows) {
      int64_t count = x.numel() / lanes, whole = count / PARTS * PARTS;
      const float* at = x.const_data_ptr<float>() + lane * x.stride(0);
      for (int64_t i = 0; i < whole; i += PARTS)
        UNROLL for (int j = 0; j < PARTS; j += WIDTH) store(part + j, fused(load(at + i + j), load(at + i + j), load(part + j)));
      for (int64_t i = whole; i < count; i++) part[i - whole] = std::fma(at[i], at[i], part[i - whole]);
    }
    out.data_ptr<float>()[lane] = in_halves(part);
  }
  return out;
}

TORCH_LIBRARY_IMPL(rlbench, CPU, library) {
  library.impl("affine", affine);
  library.impl("affine_backward", affine_backward);
  library.impl("layers", layers);
  library.impl("layers_backward", layers_backward);
  library.impl("sqrt", roots);
  library.impl("sums", sums);
  library.impl("square_sums", square_sums);
}
