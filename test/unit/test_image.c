/* test_image.c - the packed image: what is written is what opens; damage, full disks and cancels are told. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/model/image_layout.h"
#include "test/unit/failing_disk.h"
#include "test/unit/tiny_model.h"

#define PAGE 4096

/* An unlinked temporary file. */
static int
new_file(void)
{
	char name[] = "/tmp/moviebert-test-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

/* The file's bytes in a page-aligned block of exactly its size, so that a read outside it is seen. */
static void *
contents(int fd, size_t *size)
{
	struct stat info;
	void *bytes = NULL;

	assert_int_equal(fstat(fd, &info), 0);
	*size = (size_t) info.st_size;
	assert_int_equal(posix_memalign(&bytes, PAGE, *size + (*size == 0)), 0);
	assert_int_equal(pread(fd, bytes, *size, 0), (ssize_t) *size);
	return bytes;
}

static void *
aligned_copy(const void *bytes, size_t size)
{
	void *copy = NULL;

	assert_int_equal(posix_memalign(&copy, PAGE, size + (size == 0)), 0);
	memcpy(copy, bytes, size);
	return copy;
}

typedef struct opened
{
	tiny_model *tiny;
	void *file;
	mb_model *model;
} opened;

static opened
open_tiny(tiny_model *tiny)
{
	opened o = {.tiny = tiny};
	mb_error err;
	size_t size;

	o.file = tiny_model_bytes(tiny, &size);
	if (mb_model_open(&o.model, o.file, size, &err) != MB_OK)
		fail_msg("%s|%s|%s", err.message, err.detail, err.hint);
	return o;
}

static void
close_tiny(opened *o)
{
	mb_model_close(o->model);
	free(o->file);
	tiny_model_free(o->tiny);
}

static void *
write_image(const mb_model *model, size_t *size)
{
	int fd = new_file();
	mb_error err;
	void *bytes;

	if (mb_image_write(model, fd, NULL, &err) != MB_OK)
		fail_msg("%s|%s", err.message, err.detail);
	bytes = contents(fd, size);
	close(fd);
	return bytes;
}

/* ---- round trip -----------------------------------------------------------------------------------------------------
 */

static void
expect_floats(const mb_model *model, const char *name, const float *values)
{
	const mb_tensor *tensor = mb_model_tensor(model, name);
	size_t n = (size_t) mb_tensor_elements(tensor);

	assert_int_equal((uintptr_t) values % 64, 0);
	for (size_t i = 0; i < n; i++)
	{
		float expected;

		assert_true(mb_tensor_to_f32(tensor, i, 1, &expected));
		if (values[i] != expected)
			fail_msg("%s[%zu] is %g, expected %g", name, i, (double) values[i], (double) expected);
	}
}

/* Rows first_row.. of a packed matrix, against the tensor; padding is zero. */
static void
expect_linear(const mb_model *model, const char *prefix, const char *name, const mb_linear *linear, int32_t first_row)
{
	char full[128];
	const mb_tensor *weight, *bias;
	float expected;

	snprintf(full, sizeof(full), "%s%s.weight", prefix, name);
	weight = mb_model_tensor(model, full);
	snprintf(full, sizeof(full), "%s%s.bias", prefix, name);
	bias = mb_model_tensor(model, full);
	assert_int_equal((uintptr_t) linear->panels % 64, 0);
	assert_int_equal((uintptr_t) linear->bias % 64, 0);
	assert_int_equal(linear->in, weight->shape[1]);
	for (int32_t row = 0; row < weight->shape[0]; row++)
	{
		int32_t out = first_row + row;

		for (int32_t k = 0; k < linear->in; k++)
		{
			assert_true(mb_tensor_to_f32(weight, (size_t) (row * linear->in + k), 1, &expected));
			if (linear->panels[(out / 32 * linear->in + k) * 32 + out % 32] != expected)
				fail_msg("%s%s: output %d, input %d differs", prefix, name, row, k);
		}
		assert_true(mb_tensor_to_f32(bias, (size_t) row, 1, &expected));
		assert_true(linear->bias[out] == expected);
	}
	for (int32_t out = linear->out; out < (linear->out + 31) / 32 * 32; out++)
		for (int32_t k = 0; k < linear->in; k++)
			assert_true(linear->panels[(out / 32 * linear->in + k) * 32 + out % 32] == 0.0f);
}

static void
expect_layer(const mb_model *model, int32_t i, const mb_layer *layer)
{
	char prefix[64], name[128];

	snprintf(prefix, sizeof(prefix), "encoder.layer.%d.", i);
	assert_int_equal(layer->qkv.out, 3 * model->config.hidden_size);
	expect_linear(model, prefix, "attention.self.query", &layer->qkv, 0);
	expect_linear(model, prefix, "attention.self.key", &layer->qkv, model->config.hidden_size);
	expect_linear(model, prefix, "attention.self.value", &layer->qkv, 2 * model->config.hidden_size);
	expect_linear(model, prefix, "attention.output.dense", &layer->attention_output, 0);
	expect_linear(model, prefix, "intermediate.dense", &layer->intermediate, 0);
	expect_linear(model, prefix, "output.dense", &layer->output, 0);
	assert_int_equal(layer->intermediate.out, model->config.intermediate_size);
	assert_int_equal(layer->output.out, model->config.hidden_size);
	snprintf(name, sizeof(name), "%sattention.output.LayerNorm.weight", prefix);
	expect_floats(model, name, layer->attention_norm_weight);
	snprintf(name, sizeof(name), "%sattention.output.LayerNorm.bias", prefix);
	expect_floats(model, name, layer->attention_norm_bias);
	snprintf(name, sizeof(name), "%soutput.LayerNorm.weight", prefix);
	expect_floats(model, name, layer->output_norm_weight);
	snprintf(name, sizeof(name), "%soutput.LayerNorm.bias", prefix);
	expect_floats(model, name, layer->output_norm_bias);
}

static void
expect_tags(const mb_model *model, const mb_image *image)
{
	for (int32_t i = 0; i < model->pipeline.num_labels; i++)
	{
		size_t bytes;
		float threshold;
		const char *name = mb_image_tag(image, i, &bytes, &threshold);

		assert_int_equal(bytes, strlen(model->tags[i].name));
		assert_memory_equal(name, model->tags[i].name, bytes);
		assert_int_equal(isnan(threshold), isnan(model->tags[i].threshold));
		if (!isnan(threshold))
			assert_true(threshold == model->tags[i].threshold);
		assert_ptr_equal(mb_image_tag(image, i, &bytes, NULL), name);
	}
}

static void
expect_round_trip(tiny_model *tiny)
{
	opened o = open_tiny(tiny);
	const mb_model *model = o.model;
	mb_image image;
	mb_error err;
	size_t size;
	void *bytes = write_image(model, &size);

	if (mb_image_open(&image, bytes, size, &err) != MB_OK)
		fail_msg("%s|%s", err.message, err.detail);
	assert_memory_equal(&image.config, &model->config, sizeof(mb_config));
	assert_int_equal(image.pipeline.pooling, model->pipeline.pooling);
	assert_int_equal(image.pipeline.normalize, model->pipeline.normalize);
	assert_int_equal(image.pipeline.max_length, model->pipeline.max_length);
	assert_int_equal(image.pipeline.long_text, model->pipeline.long_text);
	assert_int_equal(image.pipeline.window_stride, model->pipeline.window_stride);
	assert_int_equal(image.pipeline.problem, model->pipeline.problem);
	assert_int_equal(image.pipeline.num_labels, model->pipeline.num_labels);
	assert_int_equal(mb_tokenizer_vocab_size(&image.tokenizer), 11);
	assert_int_equal(mb_tokenizer_id(&image.tokenizer, "##s", 3), 8);
	expect_floats(model, "embeddings.word_embeddings.weight", image.word_embeddings);
	expect_floats(model, "embeddings.position_embeddings.weight", image.position_embeddings);
	expect_floats(model, "embeddings.token_type_embeddings.weight", image.token_type_embeddings);
	expect_floats(model, "embeddings.LayerNorm.weight", image.embedding_norm_weight);
	expect_floats(model, "embeddings.LayerNorm.bias", image.embedding_norm_bias);
	for (int32_t i = 0; i < model->config.num_hidden_layers; i++)
		expect_layer(model, i, &image.layers[i]);
	if (model->pipeline.pooling == MB_POOL_POOLER)
		expect_linear(model, "", "pooler.dense", &image.pooler, 0);
	else
		assert_null(image.pooler.panels);
	if (model->pipeline.num_labels > 0)
	{
		assert_int_equal(image.classifier.out, model->pipeline.num_labels);
		expect_linear(model, "", "classifier", &image.classifier, 0);
	}
	else
		assert_null(image.classifier.panels);
	expect_tags(model, &image);
	/* The word embeddings come last, and end the file. */
	assert_int_equal((size_t) ((const char *) image.word_embeddings - (const char *) image.base) +
						 ((size_t) model->config.vocab_size * (size_t) model->config.hidden_size * 4 + 63) / 64 * 64,
					 size);
	mb_image_close(&image);
	free(bytes);
	close_tiny(&o);
}

/* I of more than one panel, and not a multiple of it. */
static void
widen(tiny_model *tiny)
{
	tiny_model_replace(tiny, "moviebert.config", "\"intermediate_size\": 12", "\"intermediate_size\": 75");
	tiny_model_put(tiny, "encoder.layer.0.intermediate.dense.weight", MB_F16, 75, 8);
	tiny_model_put(tiny, "encoder.layer.0.intermediate.dense.bias", MB_BF16, 75, 0);
	tiny_model_put(tiny, "encoder.layer.0.output.dense.weight", MB_BF16, 8, 75);
}

static void
images_hold_what_the_model_holds(void **state)
{
	tiny_model *tiny = tiny_model_new();

	(void) state;
	expect_round_trip(tiny);

	tiny = tiny_model_new();
	widen(tiny);
	tiny_model_replace(tiny, "moviebert.pooling", "\"mean\"", "\"pooler\"");
	tiny_model_replace(tiny, "moviebert.pooling", "\"windows\"", "\"truncate\"");
	expect_round_trip(tiny);

	tiny = tiny_model_new();
	tiny_model_behead(tiny);
	tiny_model_replace(tiny, "moviebert.pooling", "\"mean\"", "\"cls\"");
	expect_round_trip(tiny);

	tiny = tiny_model_new();
	tiny_model_replace(tiny, "moviebert.config", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 0");
	for (size_t i = tiny->n_tensors; i-- > 0;)
		if (strncmp(tiny->tensors[i].name, "encoder.", 8) == 0)
			tiny_model_drop(tiny, tiny->tensors[i].name);
	expect_round_trip(tiny);
}

/* ---- damage ---------------------------------------------------------------------------------------------------------
 */

static void
expect_damaged(const char *name, const void *bytes, size_t size, const char *expected)
{
	void *copy = aligned_copy(bytes, size);
	mb_image image;
	mb_error err;
	mb_status status = mb_image_open(&image, copy, size, &err);

	if (status != MB_CORRUPT || err.status != MB_CORRUPT)
		fail_msg("%s: status %d", name, status);
	if (strstr(err.detail, expected) == NULL)
		fail_msg("%s: \"%s|%s\", expected \"%s\"", name, err.message, err.detail, expected);
	mb_image_close(&image); /* of an image that did not open */
	free(copy);
}

static void
truncated_images_are_corrupt(void **state)
{
	opened o = open_tiny(tiny_model_new());
	size_t size;
	unsigned char *bytes = write_image(o.model, &size);

	(void) state;
	for (size_t cut = 0; cut < size; cut += cut < 300 ? 1 : 61)
		expect_damaged("truncated", bytes, cut,
					   cut < IMAGE_HEADER_BYTES ? "The file is shorter than an image's header."
												: "The file's size is not the one that its header states.");
	free(bytes);
	close_tiny(&o);
}

/* Any one bit of the header, and any one byte. */
static void
damaged_headers_are_corrupt(void **state)
{
	opened o = open_tiny(tiny_model_new());
	size_t size;
	unsigned char *bytes = write_image(o.model, &size);

	(void) state;
	for (size_t i = 0; i < sizeof(image_header); i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			bytes[i] ^= (unsigned char) (1 << bit);
			expect_damaged("bit", bytes, size, "");
			bytes[i] ^= (unsigned char) (1 << bit);
		}
		bytes[i] ^= 0xff;
		expect_damaged("byte", bytes, size, "");
		bytes[i] ^= 0xff;
	}
	free(bytes);
	close_tiny(&o);
}

/* A header whose checksum is right but whose sizes are not: what another version, or an enemy, may have written. */
static void
hostile_headers_are_corrupt(void **state)
{
	static const char sums[] = "The header's sizes do not add up to the file's.";
	static const struct
	{
		const char *name;
		size_t field;
		int32_t value;
	} cases[] = {
#define FIELD(name) offsetof(image_header, name)
		{"vocab_size 0", FIELD(config[0]), 0},
		{"vocab_size negative", FIELD(config[0]), -12},
		{"vocab_size larger", FIELD(config[0]), 1000},
		{"vocab_size huge", FIELD(config[0]), INT32_MAX},
		{"hidden_size 0", FIELD(config[1]), 0},
		{"hidden_size negative", FIELD(config[1]), INT32_MIN},
		{"hidden_size odd", FIELD(config[1]), 7},
		{"hidden_size over the limit", FIELD(config[1]), (1 << 20) + 2},
		{"hidden_size at the limit", FIELD(config[1]), 1 << 20},
		{"layers negative", FIELD(config[2]), -1},
		{"layers more", FIELD(config[2]), 2},
		{"layers fewer", FIELD(config[2]), 0},
		{"layers over the limit", FIELD(config[2]), 4097},
		{"heads 0", FIELD(config[3]), 0},
		{"heads 3", FIELD(config[3]), 3},
		{"heads negative", FIELD(config[3]), -2},
		{"intermediate_size 0", FIELD(config[4]), 0},
		{"intermediate_size at the limit", FIELD(config[4]), 1 << 24},
		{"intermediate_size over the limit", FIELD(config[4]), (1 << 24) + 1},
		{"positions 0", FIELD(config[5]), 0},
		{"positions fewer than max_length", FIELD(config[5]), 15},
		{"positions over the limit", FIELD(config[5]), (1 << 24) + 1},
		{"token types 0", FIELD(config[6]), 0},
		{"token types huge", FIELD(config[6]), INT32_MAX},
		{"activation 4", FIELD(config[7]), 4},
		{"activation -1", FIELD(config[7]), -1},
		{"eps NaN", FIELD(layer_norm_eps), 0x7fc00000},
		{"eps negative", FIELD(layer_norm_eps), (int32_t) 0xaf000000},
		{"eps 0", FIELD(layer_norm_eps), 0},
		{"pooling 3", FIELD(pipeline[0]), 3},
		{"pooling by a pooler that is not there", FIELD(pipeline[0]), MB_POOL_POOLER},
		{"max_length 2", FIELD(pipeline[2]), 2},
		{"max_length 17", FIELD(pipeline[2]), 17},
		{"long_text 2", FIELD(pipeline[3]), 2},
		{"window_stride 0", FIELD(pipeline[4]), 0},
		{"window_stride 15", FIELD(pipeline[4]), 15},
		{"problem 4", FIELD(pipeline[5]), 4},
		{"no problem, but labels", FIELD(pipeline[5]), MB_NO_HEAD},
		{"labels 0", FIELD(pipeline[6]), 0},
		{"labels negative", FIELD(pipeline[6]), -3},
		{"labels huge", FIELD(pipeline[6]), INT32_MAX},
		{"a pooler that is not there", FIELD(has_pooler), 1},
		{"a vocabulary of no bytes", FIELD(vocabulary_bytes), 0},
		{"no bytes for tags", FIELD(tag_bytes), 0},
#undef FIELD
	};
	opened o = open_tiny(tiny_model_new());
	size_t size;
	unsigned char *bytes = write_image(o.model, &size);
	image_header header, good;
	image_tag *tag;
	image_layout at;

	(void) state;
	memcpy(&good, bytes, sizeof(good));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		header = good;
		memcpy((char *) &header + cases[i].field, &cases[i].value, sizeof(int32_t));
		header.checksum = image_header_checksum(&header);
		memcpy(bytes, &header, sizeof(header));
		expect_damaged(cases[i].name, bytes, size, sums);
	}
	header = good;
	header.vocabulary_bytes = UINT64_MAX - 63;
	header.checksum = image_header_checksum(&header);
	memcpy(bytes, &header, sizeof(header));
	expect_damaged("a vocabulary of 2^64 bytes", bytes, size, "The file's size is not the one that its header states.");
	header = good;
	header.tag_bytes = size + 1;
	header.checksum = image_header_checksum(&header);
	memcpy(bytes, &header, sizeof(header));
	expect_damaged("tags of more bytes than the file", bytes, size, "The file's size is not the one");
	header = good;
	strcpy(header.layout, "int8-1");
	header.checksum = image_header_checksum(&header);
	memcpy(bytes, &header, sizeof(header));
	expect_damaged("another layout", bytes, size, "The image is of another layout or byte order.");

	/* What the sections say. */
	memcpy(bytes, &good, sizeof(good));
	assert_true(
		image_layout_of(&at, &o.model->config, &o.model->pipeline, false, good.vocabulary_bytes, good.tag_bytes));
	assert_int_equal(at.total, size);
	tag = (image_tag *) (void *) (bytes + at.tags + sizeof(image_tag));
	tag->name_at += 1000;
	expect_damaged("a tag's name beyond the section", bytes, size, "The names of the tags reach beyond their section.");
	tag->name_at -= 1000;
	tag->name_bytes = UINT32_MAX;
	expect_damaged("a tag's name too long", bytes, size, "The names of the tags reach beyond their section.");
	tag->name_bytes = 11;
	memset(bytes + at.vocabulary, 0xff, 16);
	expect_damaged("a damaged vocabulary", bytes, size, "");
	free(bytes);
	close_tiny(&o);
}

/* ---- writing --------------------------------------------------------------------------------------------------------
 */

static void
failing_writes_are_told(void **state)
{
	struct rlimit limit, small = {1000, 0};
	opened o = open_tiny(tiny_model_new());
	size_t size, again_size;
	void *bytes = write_image(o.model, &size), *again;
	mb_error err;
	int fd;

	(void) state;
	for (size_t room = 0; room < size; room += 97)
	{
		fd = new_file();
		disk_fills_after(room);
		assert_int_equal(mb_image_write(o.model, fd, NULL, &err), MB_IO);
		disk_works();
		assert_int_equal(err.os_errno, ENOSPC);
		assert_string_equal(err.message, "could not write the model image");
		assert_string_equal(err.detail, "The system says: No space left on device.");
		close(fd);
	}

	/* The kernel's own refusals. */
	fd = open("/dev/full", O_WRONLY);
	if (fd >= 0)
	{
		assert_int_equal(mb_image_write(o.model, fd, NULL, &err), MB_IO);
		assert_int_equal(err.os_errno, ENOSPC);
		close(fd);
	}
	fd = new_file();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small.rlim_max = limit.rlim_max;
	signal_of_file_size_is_ignored();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(mb_image_write(o.model, fd, NULL, &err), MB_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(err.os_errno, EFBIG);
	close(fd);
	assert_int_equal(mb_image_write(o.model, -1, NULL, &err), MB_IO);
	assert_int_equal(err.os_errno, EBADF);

	/* A few bytes at a time, interrupted: the same file. */
	fd = new_file();
	disk_interrupts();
	assert_int_equal(mb_image_write(o.model, fd, NULL, &err), MB_OK);
	disk_works();
	again = contents(fd, &again_size);
	assert_int_equal(again_size, size);
	assert_memory_equal(again, bytes, size);
	close(fd);
	free(again);
	free(bytes);
	close_tiny(&o);
}

typedef struct countdown
{
	int left, asked;
} countdown;

static bool
count_down(void *arg)
{
	countdown *c = arg;

	c->asked++;
	return c->left-- <= 0;
}

/* A model of some 4 MB, so that there are stretches to be asked between. */
static void
writing_can_be_cancelled(void **state)
{
	tiny_model *tiny = tiny_model_new();
	countdown c = {1 << 20, 0};
	mb_interrupt interrupt = {count_down, &c};
	mb_error err;
	opened o;
	int fd = new_file(), asked;

	(void) state;
	tiny_model_replace(tiny, "moviebert.config", "\"max_position_embeddings\": 16",
					   "\"max_position_embeddings\": 120000");
	tiny_model_put(tiny, "embeddings.position_embeddings.weight", MB_F32, 120000, 8);
	o = open_tiny(tiny);
	assert_int_equal(mb_image_write(o.model, fd, &interrupt, &err), MB_OK);
	close(fd);
	asked = c.asked;
	print_message("asked %d times for %d bytes\n", asked, 120000 * 8 * 4);
	assert_true(asked >= 120000 * 8 * 4 / (1 << 20)); /* at least once a MiB */
	for (int i = 0; i < asked; i++)
	{
		c = (countdown){i, 0};
		fd = new_file();
		assert_int_equal(mb_image_write(o.model, fd, &interrupt, &err), MB_CANCELLED);
		assert_int_equal(err.status, MB_CANCELLED);
		assert_int_equal(c.asked, i + 1); /* and not asked again */
		close(fd);
	}
	close_tiny(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_hold_what_the_model_holds), cmocka_unit_test(truncated_images_are_corrupt),
		cmocka_unit_test(damaged_headers_are_corrupt),      cmocka_unit_test(hostile_headers_are_corrupt),
		cmocka_unit_test(failing_writes_are_told),          cmocka_unit_test(writing_can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
