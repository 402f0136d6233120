// Sums of 32 partial sums, element i in partial sum i mod 32, which are then added in halves: 32 is a multiple of every width of vectors.
#pragma once
#include <cstdint>
#include <cstring>

#define UNROLL _Pragma("GCC unroll 32")

constexpr int PARTS = 32;

template <typename T>
static T in_halves(T* part) {
  UNROLL for (int half = PARTS / 2; half > 0; half /= 2)
    UNROLL for (int j = 0; j < half; j++) part[j] += part[j + half];
  return part[0];
}

template <typename T>
static T sum_of_row(const T* at, int64_t count) {
  T part[PARTS] = {};
  int64_t whole = count / PARTS * PARTS;
  for (int64_t i = 0; i < whole; i += PARTS)
    for (int j = 0; j < PARTS; j++) part[j] += at[i + j];
  if (whole < count) {  // filled up with zeros, which change no partial sum: one begins as +0, and stays no -0
    T rest[PARTS] = {};
    std::memcpy(rest, at + whole, (count - whole) * sizeof(T));
    for (int j = 0; j < PARTS; j++) part[j] += rest[j];
  }
  return in_halves(part);
}
