/// \file
/// The list of what is compiled once: included for each scalar, with RAPT_INSTANCE `extern template` or `template`.
/// What is missing here costs time, never correctness. `decltype` stands for the type of a function that is not
/// overloaded.

#if defined(RAPT_INSTANCE) && defined(RAPT_SCALAR)

namespace rapt { inline namespace RAPT_ABI {

RAPT_INSTANCE class Tensor<RAPT_SCALAR>;

// Kernels, each compiled for every instruction set: most of the time.
namespace kernels {
RAPT_INSTANCE class PackedOperand<RAPT_SCALAR>;
RAPT_INSTANCE void gemm(const Operand<RAPT_SCALAR>&, const PackedOperand<RAPT_SCALAR>&, TensorView<RAPT_SCALAR>,
                        const GemmOptions<RAPT_SCALAR>&);
RAPT_INSTANCE void gemm(const Operand<RAPT_SCALAR>&, const Operand<RAPT_SCALAR>&, TensorView<RAPT_SCALAR>,
                        const GemmOptions<RAPT_SCALAR>&);
RAPT_INSTANCE decltype(activate<RAPT_SCALAR>) activate<RAPT_SCALAR>;
RAPT_INSTANCE decltype(activate_and_derive<RAPT_SCALAR>) activate_and_derive<RAPT_SCALAR>;
RAPT_INSTANCE void activate_backward(Activation, const RAPT_SCALAR*, const RAPT_SCALAR*, RAPT_SCALAR*, Index, bool);
RAPT_INSTANCE decltype(add<RAPT_SCALAR>) add<RAPT_SCALAR>;
RAPT_INSTANCE decltype(add_column_sums<RAPT_SCALAR>) add_column_sums<RAPT_SCALAR>;
RAPT_INSTANCE decltype(add_norm<RAPT_SCALAR>) add_norm<RAPT_SCALAR>;
RAPT_INSTANCE decltype(add_norm_backward<RAPT_SCALAR>) add_norm_backward<RAPT_SCALAR>;
RAPT_INSTANCE decltype(add_scaled<RAPT_SCALAR>) add_scaled<RAPT_SCALAR>;
RAPT_INSTANCE decltype(apply_dropout<RAPT_SCALAR>) apply_dropout<RAPT_SCALAR>;
RAPT_INSTANCE decltype(attention<RAPT_SCALAR>) attention<RAPT_SCALAR>;
RAPT_INSTANCE decltype(attention_backward<RAPT_SCALAR>) attention_backward<RAPT_SCALAR>;
RAPT_INSTANCE decltype(cross_entropy_rows<RAPT_SCALAR>) cross_entropy_rows<RAPT_SCALAR>;
RAPT_INSTANCE decltype(gather_rows<RAPT_SCALAR>) gather_rows<RAPT_SCALAR>;
RAPT_INSTANCE decltype(linear_backward<RAPT_SCALAR>) linear_backward<RAPT_SCALAR>;
RAPT_INSTANCE decltype(log_sum_exp<RAPT_SCALAR>) log_sum_exp<RAPT_SCALAR>;
RAPT_INSTANCE decltype(multiply<RAPT_SCALAR>) multiply<RAPT_SCALAR>;
RAPT_INSTANCE decltype(residual_add<RAPT_SCALAR>) residual_add<RAPT_SCALAR>;
RAPT_INSTANCE decltype(scatter_rows<RAPT_SCALAR>) scatter_rows<RAPT_SCALAR>;
RAPT_INSTANCE decltype(softmax_rows<RAPT_SCALAR>) softmax_rows<RAPT_SCALAR>;
}  // namespace kernels

// The graph and its ops.
RAPT_INSTANCE class Node<RAPT_SCALAR>;
RAPT_INSTANCE class Variable<RAPT_SCALAR>;
RAPT_INSTANCE decltype(backward<RAPT_SCALAR>) backward<RAPT_SCALAR>;
RAPT_INSTANCE decltype(activate<RAPT_SCALAR>) activate<RAPT_SCALAR>;
RAPT_INSTANCE decltype(add<RAPT_SCALAR>) add<RAPT_SCALAR>;
RAPT_INSTANCE decltype(add_norm<RAPT_SCALAR>) add_norm<RAPT_SCALAR>;
RAPT_INSTANCE decltype(add_rows<RAPT_SCALAR>) add_rows<RAPT_SCALAR>;
RAPT_INSTANCE Variable<RAPT_SCALAR> attention(const ColumnSlice<RAPT_SCALAR>&, const ColumnSlice<RAPT_SCALAR>&,
                                              const ColumnSlice<RAPT_SCALAR>&, const RowSplits&, const RowSplits&,
                                              const AttentionOptions<RAPT_SCALAR>&,
                                              const AttentionCapture<RAPT_SCALAR>&);
RAPT_INSTANCE Variable<RAPT_SCALAR> attention(const Variable<RAPT_SCALAR>&, const Variable<RAPT_SCALAR>&,
                                              const Variable<RAPT_SCALAR>&, const RowSplits&, const RowSplits&,
                                              const AttentionOptions<RAPT_SCALAR>&,
                                              const AttentionCapture<RAPT_SCALAR>&);
RAPT_INSTANCE decltype(cross_entropy<RAPT_SCALAR>) cross_entropy<RAPT_SCALAR>;
RAPT_INSTANCE decltype(dropout<RAPT_SCALAR>) dropout<RAPT_SCALAR>;
RAPT_INSTANCE decltype(gather_rows<RAPT_SCALAR>) gather_rows<RAPT_SCALAR>;
RAPT_INSTANCE decltype(layer_norm<RAPT_SCALAR>) layer_norm<RAPT_SCALAR>;
RAPT_INSTANCE decltype(linear<RAPT_SCALAR>) linear<RAPT_SCALAR>;
RAPT_INSTANCE decltype(linear_cross_entropy<RAPT_SCALAR>) linear_cross_entropy<RAPT_SCALAR>;
RAPT_INSTANCE decltype(matmul<RAPT_SCALAR>) matmul<RAPT_SCALAR>;
RAPT_INSTANCE decltype(multiply<RAPT_SCALAR>) multiply<RAPT_SCALAR>;
RAPT_INSTANCE decltype(residual_add<RAPT_SCALAR>) residual_add<RAPT_SCALAR>;
RAPT_INSTANCE decltype(scale<RAPT_SCALAR>) scale<RAPT_SCALAR>;
RAPT_INSTANCE decltype(softmax<RAPT_SCALAR>) softmax<RAPT_SCALAR>;
RAPT_INSTANCE decltype(sum<RAPT_SCALAR>) sum<RAPT_SCALAR>;

// Layers.
RAPT_INSTANCE class Parameter<RAPT_SCALAR>;
RAPT_INSTANCE class AddNorm<RAPT_SCALAR, kPaperKinds>;
RAPT_INSTANCE class Block<RAPT_SCALAR, kPaperKinds>;
RAPT_INSTANCE class Decoder<RAPT_SCALAR>;
RAPT_INSTANCE struct DecoderState<RAPT_SCALAR>;
RAPT_INSTANCE class Embedding<RAPT_SCALAR>;
RAPT_INSTANCE class Encoder<RAPT_SCALAR>;
RAPT_INSTANCE class FeedForward<RAPT_SCALAR>;
RAPT_INSTANCE class KeyValueCache<RAPT_SCALAR>;
RAPT_INSTANCE class LayerNorm<RAPT_SCALAR>;
RAPT_INSTANCE class LearnedPositionalEncoding<RAPT_SCALAR>;
RAPT_INSTANCE class Linear<RAPT_SCALAR>;
RAPT_INSTANCE class MultiHeadAttention<RAPT_SCALAR, kPaperKinds>;
RAPT_INSTANCE class Norm<RAPT_SCALAR, kPaperKinds>;
RAPT_INSTANCE struct PrefixState<RAPT_SCALAR>;
RAPT_INSTANCE class SinusoidalPositionalEncoding<RAPT_SCALAR>;
RAPT_INSTANCE class Stack<RAPT_SCALAR, kPaperKinds>;

// The model, and what trains and decodes it.
RAPT_INSTANCE class Transformer<RAPT_SCALAR>;
RAPT_INSTANCE class RuleOptimizer<RAPT_SCALAR, AdamRule>;
RAPT_INSTANCE RuleOptimizer<RAPT_SCALAR, AdamRule>::RuleOptimizer(Transformer<RAPT_SCALAR>&, const AdamOptions&);
RAPT_INSTANCE class Adam<RAPT_SCALAR>;
RAPT_INSTANCE Adam<RAPT_SCALAR>::Adam(Transformer<RAPT_SCALAR>&, const AdamOptions&);
RAPT_INSTANCE class TrainingStep<Transformer<RAPT_SCALAR>>;
RAPT_INSTANCE double TrainingStep<Transformer<RAPT_SCALAR>>::operator()(std::span<const TranslationBatch>);
RAPT_INSTANCE class Trainer<Transformer<RAPT_SCALAR>>;
RAPT_INSTANCE decltype(beam_search<Transformer<RAPT_SCALAR>>) beam_search<Transformer<RAPT_SCALAR>>;
RAPT_INSTANCE decltype(clear_gradients<Transformer<RAPT_SCALAR>>) clear_gradients<Transformer<RAPT_SCALAR>>;
RAPT_INSTANCE decltype(count_parameters<Transformer<RAPT_SCALAR>>) count_parameters<Transformer<RAPT_SCALAR>>;
RAPT_INSTANCE decltype(gradient_norm<Transformer<RAPT_SCALAR>>) gradient_norm<Transformer<RAPT_SCALAR>>;
RAPT_INSTANCE decltype(greedy_search<Transformer<RAPT_SCALAR>>) greedy_search<Transformer<RAPT_SCALAR>>;

}}  // namespace rapt::RAPT_ABI

#endif
