/*
 * encoder.h - ids -> hidden states -> pooled vectors -> logits, in fp32 (Devlin et al. 2018, arXiv:1810.04805).
 *
 * Several sequences are computed in one call by concatenation, without padding: each attends only to itself, and every
 * sum is taken in an order that depends on the sequence alone, so that its result is bit-equal in any company.
 *
 *   N  tokens in the call = sum of lengths      B  sequences      H  hidden size      L  labels
 */
#ifndef MOVIEBERT_ENCODER_H
#define MOVIEBERT_ENCODER_H

#include "moviebert/image.h"

/* Bytes of workspace that mb_encode needs for n_tokens tokens with no sequence longer than max_length; 0 on overflow. */
size_t mb_encoder_workspace_size(const mb_image *image, size_t n_tokens, size_t max_length);

/*
 * Runs the encoder and the image's pooling (without the L2 normalisation).
 *
 *   ids        [N]    token ids with [CLS] and [SEP], sequences one after another
 *   lengths    [B]    1 <= length <= P
 *   pooled     [B,H]  out
 *   hidden     [N,H]  out: last hidden states; NULL if not wanted
 *   workspace  64-byte aligned, mb_encoder_workspace_size bytes; the only memory it writes
 *
 * Errors: MB_INVALID_ARGUMENT (id or length out of range), MB_CANCELLED (asked many times a layer).
 */
mb_status mb_encode(const mb_image *image, const int32_t *ids, const int32_t *lengths, size_t n_sequences,
                    float *pooled, float *hidden, void *workspace, size_t workspace_size,
                    const mb_interrupt *interrupt, mb_error *err);

/* logits [B,L] = pooled [B,H] through the classifier.  The image must have one. */
void mb_classify(const mb_image *image, const float *pooled, size_t n, float *logits);

/* v /= max(|v|, 1e-12), as torch.nn.functional.normalize does. */
void mb_normalize(float *v, size_t n);

/* a.b / (|a| |b|) within [-1, 1], summed in double; NAN when either is zero or not finite. */
float mb_cosine_similarity(const float *a, const float *b, size_t n);

/* Which kernels this CPU got: "avx512", "avx2" or "portable". */
const char *mb_kernel_name(void);

/* Forces a kernel set by name, for tests and benchmarks; false if this CPU cannot run it.  Not for use while encoding. */
bool mb_kernel_select(const char *name);

#endif
