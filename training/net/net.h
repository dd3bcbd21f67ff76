/*
 * net.h - a BERT that learns: its parameters in one array, forward and backward passes, and the AdamW step.
 *
 * Post-LayerNorm BERT exactly as src/nn computes it.  The parameters are one allocation without gaps, in the order of
 * the table; gradients and AdamW's moments have the same layout, so that an optimiser is one loop and a checkpoint one
 * write.  A layer's query, key and value stand next to each other: one product makes all three.
 */
#ifndef MOVIEBERT_NET_NET_H
#define MOVIEBERT_NET_NET_H

#include "ops.h"

/* layer is for freezing and layer-wise learning rates: -1 the embeddings, 0 .. layers-1, layers: the heads. */
typedef struct net_tensor
{
	char name[80]; /* as in model files: "encoder.layer.0.attention.self.query.weight" */
	int64_t shape[2];
	int n_dims;
	size_t offset; /* elements from the start */
	size_t size;   /* elements */
	int layer;
	bool decay; /* weight decay applies: matrices, not biases or LayerNorm */
} net_tensor;

typedef struct net_options
{
	mb_config config;
	bool mlm_head;      /* cls.predictions.*, the decoder tied to the word embeddings */
	bool pooler;        /* pooler.dense */
	int32_t num_labels; /* classifier; 0: none */
} net_options;

typedef struct net
{
	net_options options;
	net_tensor *tensors;
	size_t n_tensors;
	size_t n_parameters; /* elements of all tensors */
} net;

mb_status net_create(net *n, const net_options *options, mb_error *err);
void net_release(net *n);
const net_tensor *net_find(const net *n, const char *name); /* or NULL */

/*
 * Weights ~ N(0, 0.02) cut at two deviations, biases 0, LayerNorm 1 and 0, [PAD]'s row (pad_id >= 0) 0.  Each tensor
 * draws from a stream of its own, so that a head does not change the body.  A double build draws the same numbers.
 */
void net_init(const net *n, real *parameters, uint64_t seed, int32_t pad_id);

/*
 * Copies the tensors that the model file has; a head that it lacks keeps what is there.  *loaded counts elements.
 * Errors: MB_INVALID_ARGUMENT (other sizes or another activation function), MB_UNSUPPORTED (a decoder that is not
 * tied).
 */
mb_status net_load(const net *n, real *parameters, const mb_model *model, size_t *loaded, mb_error *err);

/* One shard's sequences: ids [N] with special tokens, lengths [B]. */
typedef struct net_batch
{
	const int32_t *ids;
	const int32_t *lengths;
	size_t B, N;
} net_batch;

/* What one pass is to do beside the arithmetic. */
typedef struct net_pass
{
	double dropout; /* hidden states: after the embeddings, the attention's and the feed-forward's output; 0: none */
	uint64_t dropout_key; /* differs from step to step and shard to shard */
	int freeze; /* embeddings and the first `freeze` layers learn nothing, and have no dropout; -1: all learn */
	/*
	 * The rows of the last hidden states that a loss will look at, ascending indexes into [N]; NULL: all.  With them the
	 * last layer computes no others beyond its attention, and what net_forward returns and net_dhidden takes are these
	 * rows alone, [n_places,H].  The loss and its gradients stay what they are: the other rows have no part in them.
	 */
	const int32_t *places;
	size_t n_places;
} net_pass;

/* Activations of one pass, kept for its backward; one per worker. */
typedef struct net_activations net_activations;

/* For up to max_tokens tokens in sequences of up to max_length; one allocation, which exits as allocate() does. */
net_activations *net_activations_create(const net *n, size_t max_tokens, size_t max_length);
void net_activations_destroy(net_activations *a);
size_t net_activations_bytes(const net *n, size_t max_tokens, size_t max_length);

/* Last hidden states [N,H], or [n_places,H], owned by a, and gone with net_backward, which wants their place. */
const real *net_forward(const net *n, const real *parameters, net_activations *a, const net_batch *batch,
						const net_pass *pass);

/* Where a loss puts its gradient by the last hidden states [N,H], before net_backward. */
real *net_dhidden(net_activations *a);

/* Adds to gradients; batch and pass as in the forward. */
void net_backward(const net *n, const real *parameters, real *gradients, net_activations *a, const net_batch *batch,
				  const net_pass *pass);

/* How a loss went. */
typedef struct net_loss
{
	double sum;     /* nats, before scaling */
	size_t targets; /* masked positions; known pairs; rows */
	size_t correct;
} net_loss;

/*
 * The masked-LM head at M places (ascending indexes into the rows that net_forward gave; NULL: the first M) with these
 * labels, and softmax cross entropy times scale.
 * With gradients: adds to them and overwrites net_dhidden; without, only the loss.  Large M is worked off in blocks.
 */
void net_mlm_loss(const net *n, const real *parameters, real *gradients, net_activations *a, const net_batch *batch,
				  const int32_t *places, const int32_t *labels, size_t M, double scale, net_loss *loss);

/* pooled [B,H] in the mode; its backward overwrites net_dhidden, and adds the pooler's gradients. */
void net_pool(const net *n, const real *parameters, net_activations *a, const net_batch *batch, mb_pooling mode,
			  real *pooled);
void net_pool_backward(const net *n, const real *parameters, real *gradients, net_activations *a,
					   const net_batch *batch, mb_pooling mode, const real *dpooled);

/* logits [B,L] = pooled through the classifier; its backward overwrites dpooled and adds to gradients */
void net_classify(const net *n, const real *parameters, const real *pooled, size_t B, real *logits);
void net_classify_backward(const net *n, const real *parameters, real *gradients, const real *pooled,
						   const real *dlogits, size_t B, real *dpooled);

/*
 * Multiplications and additions in the matrix products of a forward and backward pass, for plans and rates: of T-token
 * sequences, per token; mlm_share of the tokens are targets, and with any the last layer computes them alone.
 */
double net_flops_per_token(const net *n, size_t T, double mlm_share, int freeze);

/*
 * AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), with bias correction:
 *   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w -= lr_t (m_hat / (sqrt(v_hat) + eps) + decay w)
 */
typedef struct adamw_options
{
	double beta1, beta2, epsilon; /* .9 .98 1e-6 */
	double weight_decay;          /* .01, on tensors whose decay is set */
	double clip;                  /* largest norm of all gradients together; 0: none */
} adamw_options;

/*
 * One step, number t = 1, 2, ...; rate[i] is the learning rate of tensor i (0: it stays as it is, without its gradient
 * in the norm).  gradients are those of the mean loss.  Returns the norm before clipping; if that is not finite,
 * nothing is changed. With n_threads the work is divided by fixed blocks: results do not depend on it.
 */
double adamw_step(const net *n, real *parameters, real *m, real *v, const real *gradients, uint64_t t,
				  const double *rate, const adamw_options *options, int n_threads);

/* gradients[0] += gradients[1] + ... in that order; all of n elements.  Then adamw_step sees the sum. */
void gradients_reduce(real *const *gradients, size_t n_shards, size_t n, int n_threads);

#endif
