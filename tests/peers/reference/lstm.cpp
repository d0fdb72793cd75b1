// As in attention.cpp: the recurrence of a bidirectional LSTM.
#include "kernels/lstm/lstm.hpp"

namespace {
/// sizes: S, N, h.
weft::LstmShape lstm_of(const long* sizes) { return {sizes[0], sizes[1], sizes[2]}; }
} // namespace

extern "C" {
/// lengths: [S]. gates: in and out, as lstm.hpp says.
void weft_lstm_forward(const long* sizes, double* out, double* gates, double* cells, const double* state_weight,
                       const double* state_bias, const int* lengths) {
  weft::reference::lstm_forward(lstm_of(sizes), out, gates, cells, state_weight, state_bias, lengths);
}
void weft_lstm_backward(const long* sizes, double* gates, const double* dout, const double* cells,
                        const double* state_weight, const int* lengths) {
  weft::reference::lstm_backward(lstm_of(sizes), gates, dout, cells, state_weight, lengths);
}
void weft_lstm_state_operands(const long* sizes, long direction, double* before, double* own, const double* out,
                              const double* dgates, const int* lengths) {
  weft::reference::lstm_state_operands(lstm_of(sizes), static_cast<int>(direction), before, own, out, dgates, lengths);
}
}
