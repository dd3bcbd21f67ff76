/*
 * import_tokenizer.c - how the checkpoint's tokenizer is set up.
 *
 * There are two sources.  With BERT's own class, transformers goes by tokenizer_config.json and BERT's defaults; with
 * the generic class, and in every program that reads tokenizer.json alone, it is tokenizer.json.  So where both are
 * there they must come to the same, and what they come to must be what src/text does: BertNormalizer, BertPreTokenizer,
 * WordPiece, [CLS] text [SEP].  Everything else is refused by its name.
 */
#include "import.h"

#include <stdlib.h>
#include <string.h>

/* transformers' BertTokenizer has no other, so that a model with another could not be exported (see export.c). */
#define MAX_CHARS_PER_WORD 100

enum
{
	UNK,
	CLS,
	SEP,
	PAD,
	MASK,
	N_ROLES
};

static const char *const role_keys[N_ROLES] = {"unk_token", "cls_token", "sep_token", "pad_token", "mask_token"};
static const char *const role_defaults[N_ROLES] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};

static const char config_name[] = "tokenizer_config.json";
static const char json_name[] = "tokenizer.json";
static const char special_name[] = "special_tokens_map.json";
static const char added_name[] = "added_tokens.json";

typedef struct settings
{
	bool lowercase;
	bool strip_accents; /* resolved: null means "as lowercase" */
	bool split_cjk;
} settings;

/* What the folder has, and what is made of it. */
typedef struct reading
{
	json_t *config;   /* tokenizer_config.json */
	json_t *json;     /* tokenizer.json */
	json_t *specials; /* special_tokens_map.json */
	json_t *added;    /* added_tokens.json: token -> id */
	const char *roles[N_ROLES];
	bool generic; /* the class is the reference's generic one: tokenizer.json alone counts */
	settings set;
	bool split_special_tokens;
	json_t *additional; /* a set: special tokens beside the roles, as keys */
	import_vocab vocab;
	mb_error *err;
} reading;

/* ---- the class --------------------------------------------------------------------------------------------------- */

/* Classes that differ from BERT's only in name. */
static const char *const bert_classes[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
										   "RetriBertTokenizer"};
static const char *const generic_classes[] = {"PreTrainedTokenizer", "TokenizersBackend"};

static bool
is_one_of(const char *name, size_t length, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i]) == length && strncmp(name, names[i], length) == 0)
			return true;
	return false;
}

static mb_status
read_class(reading *r)
{
	const char *name = NULL;
	size_t length;
	mb_status status = mb_json_string(r->config, "tokenizer_class", &name, config_name, r->err);

	if (status != MB_OK || name == NULL)
		return status;
	length = strlen(name);
	if (length > 4 && strcmp(name + length - 4, "Fast") == 0)
		length -= 4;
	if (is_one_of(name, length, bert_classes, sizeof(bert_classes) / sizeof(bert_classes[0])))
		return MB_OK;
	if (is_one_of(name, length, generic_classes, sizeof(generic_classes) / sizeof(generic_classes[0])))
	{
		r->generic = true;
		if (r->json != NULL)
			return MB_OK;
		mb_fail(r->err, MB_CORRUPT, "tokenizer class \"%.100s\" needs a tokenizer.json", name);
		mb_hint(r->err, "Bring the checkpoint's tokenizer.json.");
		return MB_CORRUPT;
	}
	mb_fail(r->err, MB_UNSUPPORTED, "tokenizer class \"%.100s\" is not supported", name);
	mb_detail(r->err, "moviebert has BERT's WordPiece tokenizer.");
	mb_hint(r->err, "Choose a checkpoint with a BertTokenizer, such as sentence-transformers/all-MiniLM-L6-v2.");
	return MB_UNSUPPORTED;
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static mb_status
read_settings(settings *set, const json_t *object, const char *lowercase_key, const char *cjk_key, const char *what,
			  mb_error *err)
{
	mb_status status = mb_json_bool(object, lowercase_key, &set->lowercase, what, err);

	set->strip_accents = set->lowercase;
	if (status == MB_OK)
		status = mb_json_bool(object, "strip_accents", &set->strip_accents, what, err);
	if (status == MB_OK)
		status = mb_json_bool(object, cjk_key, &set->split_cjk, what, err);
	return status;
}

static mb_status
read_config_settings(reading *r)
{
	bool basic = true;
	const char *prefix = "##";
	mb_status status;

	r->set = (settings){true, true, true}; /* BertTokenizer's defaults */
	status = read_settings(&r->set, r->config, "do_lower_case", "tokenize_chinese_chars", config_name, r->err);
	if (status == MB_OK)
		status = mb_json_bool(r->config, "do_basic_tokenize", &basic, config_name, r->err);
	if (status == MB_OK && !basic)
		status = mb_fail(r->err, MB_UNSUPPORTED, "a tokenizer without basic tokenization is not supported");
	if (status == MB_OK)
		status = mb_json_string(r->config, "wordpieces_prefix", &prefix, config_name, r->err);
	if (status == MB_OK && strcmp(prefix, "##") != 0)
		status = mb_fail(r->err, MB_UNSUPPORTED, "a WordPiece prefix \"%.20s\" is not supported", prefix);
	if (status == MB_OK)
		status = mb_json_bool(r->config, "split_special_tokens", &r->split_special_tokens, config_name, r->err);
	return status;
}

/* ---- tokenizer.json ---------------------------------------------------------------------------------------------- */

/* A part of tokenizer.json must be of the one type that BERT's has. */
static mb_status
check_part(const reading *r, const char *part, const char *type)
{
	const json_t *object = json_object_get(r->json, part);
	const char *found = json_string_value(json_object_get(object, "type"));

	if (found != NULL && strcmp(found, type) == 0)
		return MB_OK;
	if (found != NULL)
		mb_fail(r->err, MB_UNSUPPORTED, "a tokenizer with %s \"%.100s\" is not supported", part, found);
	else
		mb_fail(r->err, MB_UNSUPPORTED, "a tokenizer.json without %s is not supported", part);
	mb_detail(r->err, "BERT's is \"%s\".", type);
	return MB_UNSUPPORTED;
}

static mb_status
check_wordpiece(const reading *r)
{
	const json_t *model = json_object_get(r->json, "model");
	const char *unk = "[UNK]", *prefix = "##";
	int32_t max_chars = MAX_CHARS_PER_WORD;
	mb_status status;

	/* tokenizers before 0.9 wrote the model without its type. */
	if (json_object_get(model, "type") != NULL || !json_is_object(json_object_get(model, "vocab")))
	{
		status = check_part(r, "model", "WordPiece");
		if (status != MB_OK)
			return status;
	}
	status = mb_json_string(model, "unk_token", &unk, json_name, r->err);
	if (status == MB_OK)
		status = mb_json_string(model, "continuing_subword_prefix", &prefix, json_name, r->err);
	if (status == MB_OK)
		status = mb_json_int(model, "max_input_chars_per_word", 1, INT32_MAX, &max_chars, json_name, r->err);
	if (status != MB_OK)
		return status;
	if (strcmp(unk, r->roles[UNK]) != 0)
		return mb_fail(r->err, MB_CORRUPT, "the unknown token is \"%.60s\" in tokenizer.json and \"%.60s\" elsewhere",
					   unk, r->roles[UNK]);
	if (strcmp(prefix, "##") != 0)
		return mb_fail(r->err, MB_UNSUPPORTED, "a WordPiece prefix \"%.20s\" is not supported", prefix);
	if (max_chars != MAX_CHARS_PER_WORD)
	{
		mb_fail(r->err, MB_UNSUPPORTED, "words of up to %d characters are not supported", max_chars);
		mb_detail(r->err, "\"max_input_chars_per_word\" of tokenizer.json must be %d.", MAX_CHARS_PER_WORD);
		return MB_UNSUPPORTED;
	}
	return MB_OK;
}

static mb_status
check_normalizer(reading *r)
{
	const json_t *normalizer = json_object_get(r->json, "normalizer");
	settings set = {true, true, true};
	bool clean = true;
	mb_status status = check_part(r, "normalizer", "BertNormalizer");

	if (status == MB_OK)
		status = read_settings(&set, normalizer, "lowercase", "handle_chinese_chars", json_name, r->err);
	if (status == MB_OK)
		status = mb_json_bool(normalizer, "clean_text", &clean, json_name, r->err);
	if (status != MB_OK)
		return status;
	if (!clean)
		return mb_fail(r->err, MB_UNSUPPORTED, "a tokenizer that does not clean text is not supported");
	if (r->generic)
		r->set = set;
	else if (set.lowercase != r->set.lowercase || set.strip_accents != r->set.strip_accents ||
			 set.split_cjk != r->set.split_cjk)
	{
		bool lowercase = set.lowercase != r->set.lowercase, accents = set.strip_accents != r->set.strip_accents;

		mb_fail(r->err, MB_CORRUPT, "tokenizer_config.json and tokenizer.json disagree on %s",
				lowercase ? "lower-casing"
				: accents ? "stripping accents"
						  : "splitting Chinese characters");
		mb_detail(r->err,
				  "Where tokenizer_config.json says nothing, BERT's defaults count: lower-casing, accents stripped, "
				  "Chinese characters split.");
		mb_hint(
			r->err,
			"Set \"%s\" in tokenizer_config.json to what the model was trained with; or, if tokenizer.json is wrong "
			"and there is a vocab.txt, remove tokenizer.json.",
			lowercase ? "do_lower_case"
			: accents ? "strip_accents"
					  : "tokenize_chinese_chars");
		return MB_CORRUPT;
	}
	return MB_OK;
}

/* Whether an element of a template is this special token. */
static bool
is_special_token(const json_t *element, const char *token)
{
	const char *id = json_string_value(json_object_get(json_object_get(element, "SpecialToken"), "id"));

	return id != NULL && strcmp(id, token) == 0;
}

/* [CLS] text [SEP], by a template or by the older processor of BERT's own. */
static mb_status
check_post_processor(const reading *r)
{
	const json_t *processor = json_object_get(r->json, "post_processor");
	const char *type = json_string_value(json_object_get(processor, "type"));
	bool right = false;

	if (type != NULL && strcmp(type, "BertProcessing") == 0)
	{
		const char *sep = json_string_value(json_array_get(json_object_get(processor, "sep"), 0));
		const char *cls = json_string_value(json_array_get(json_object_get(processor, "cls"), 0));

		right = sep != NULL && cls != NULL && strcmp(sep, r->roles[SEP]) == 0 && strcmp(cls, r->roles[CLS]) == 0;
	}
	else
	{
		const json_t *single = json_object_get(processor, "single");
		mb_status status = check_part(r, "post_processor", "TemplateProcessing");

		if (status != MB_OK)
			return status;
		right = json_array_size(single) == 3 && is_special_token(json_array_get(single, 0), r->roles[CLS]) &&
				json_is_object(json_object_get(json_array_get(single, 1), "Sequence")) &&
				is_special_token(json_array_get(single, 2), r->roles[SEP]);
	}
	if (right)
		return MB_OK;
	mb_fail(r->err, MB_UNSUPPORTED, "the post_processor of tokenizer.json is not supported");
	mb_detail(r->err, "BERT's puts \"%.60s\" before a text and \"%.60s\" after it.", r->roles[CLS], r->roles[SEP]);
	return MB_UNSUPPORTED;
}

static mb_status
check_tokenizer_json(reading *r)
{
	mb_status status = check_wordpiece(r);

	if (status == MB_OK)
		status = check_normalizer(r);
	if (status == MB_OK)
		status = check_part(r, "pre_tokenizer", "BertPreTokenizer");
	if (status == MB_OK)
		status = check_post_processor(r);
	return status;
}

/* ---- special tokens ---------------------------------------------------------------------------------------------- */

/* A token is written as a string, or as an object with its content. */
static const char *
token_content(const json_t *token)
{
	return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

static mb_status
read_roles(reading *r)
{
	for (int i = 0; i < N_ROLES; i++)
	{
		const json_t *said = json_object_get(r->config, role_keys[i]);
		const char *what = config_name;

		if (said == NULL || json_is_null(said))
		{
			said = json_object_get(r->specials, role_keys[i]);
			what = special_name;
		}
		r->roles[i] = role_defaults[i];
		if (said == NULL || json_is_null(said))
			continue;
		r->roles[i] = token_content(said);
		if (r->roles[i] == NULL || r->roles[i][0] == '\0')
			return mb_fail(r->err, MB_CORRUPT, "member \"%s\" of %s is not a token", role_keys[i], what);
	}
	return MB_OK;
}

static mb_status
add_special(reading *r, const char *token, const char *what)
{
	if (token == NULL || token[0] == '\0')
		return mb_fail(r->err, MB_CORRUPT, "a special token of %s is not a token", what);
	for (int role = 0; role < N_ROLES; role++)
		if (strcmp(token, r->roles[role]) == 0)
			return MB_OK;
	if (json_object_set_new(r->additional, token, json_true()) != 0)
		return mb_fail(r->err, MB_OUT_OF_MEMORY, "out of memory");
	return MB_OK;
}

/* A list of tokens, or an object with tokens as values. */
static mb_status
add_specials(reading *r, const json_t *tokens, const char *what)
{
	mb_status status = MB_OK;
	const char *key;
	json_t *token;
	size_t i;

	if (json_is_array(tokens))
		json_array_foreach(tokens, i, token)
		{
			if (status == MB_OK)
				status = add_special(r, token_content(token), what);
		}
	else if (json_is_object(tokens))
		json_object_foreach((json_t *) (uintptr_t) tokens, key, token)
		{
			if (status == MB_OK)
				status = add_special(r, token_content(token), what);
		}
	return status;
}

/*
 * A token that was added to the vocabulary later.  Special ones are matched in a text as it is written, which src/text
 * does; white space beside them (lstrip, rstrip) means nothing to BERT.
 */
static mb_status
add_token(reading *r, const json_t *token, json_int_t id, const char *what)
{
	const char *content = token_content(token);
	bool special = false, normalized = false, single_word = false;
	mb_status status;

	if (content == NULL || content[0] == '\0')
		return mb_fail(r->err, MB_CORRUPT, "an added token of %s has no content", what);
	status = mb_json_bool(token, "special", &special, what, r->err);
	if (status == MB_OK)
		status = mb_json_bool(token, "normalized", &normalized, what, r->err);
	if (status == MB_OK)
		status = mb_json_bool(token, "single_word", &single_word, what, r->err);
	if (status != MB_OK)
		return status;
	if (!special || normalized || single_word)
	{
		mb_fail(r->err, MB_UNSUPPORTED, "added token \"%.100s\" is not supported", content);
		mb_detail(r->err, "It is %s; moviebert matches special tokens only, as they are written.",
				  !special     ? "not special"
				  : normalized ? "matched after normalisation"
							   : "matched as a whole word only");
		return MB_UNSUPPORTED;
	}
	status = import_vocab_add(&r->vocab, content, id, what, r->err);
	return status == MB_OK ? add_special(r, content, what) : status;
}

/* The id that a key of added_tokens_decoder writes in decimal, or -1. */
static json_int_t
id_of_key(const char *key)
{
	char *end;
	long long id;

	if (key[0] < '0' || key[0] > '9' || strlen(key) > 8)
		return -1;
	id = strtoll(key, &end, 10);
	return *end == '\0' ? id : -1;
}

static mb_status
read_added_tokens(reading *r)
{
	json_t *decoder = json_object_get(r->config, "added_tokens_decoder");
	json_t *list = json_object_get(r->json, "added_tokens");
	const char *key;
	json_t *token;
	size_t i;
	mb_status status = MB_OK;

	json_array_foreach(list, i, token)
	{
		const json_t *id = json_object_get(token, "id");

		if (status == MB_OK)
			status = add_token(r, token, json_is_integer(id) ? json_integer_value(id) : -1, json_name);
	}
	json_object_foreach(decoder, key, token)
	{
		if (status == MB_OK)
			status = add_token(r, token, id_of_key(key), config_name);
	}
	if (status == MB_OK && list == NULL && decoder == NULL && json_object_size(r->added) > 0)
	{
		/* The oldest form says only the ids; the tokens are special where special_tokens_map.json lists them. */
		status = add_specials(r, json_object_get(r->specials, "additional_special_tokens"), special_name);
		json_object_foreach(r->added, key, token)
		{
			size_t before = json_object_size(r->additional);

			if (status == MB_OK)
				status = import_vocab_add(&r->vocab, key, json_is_integer(token) ? json_integer_value(token) : -1,
										  added_name, r->err);
			if (status == MB_OK)
				status = add_special(r, key, added_name);
			if (status == MB_OK && json_object_size(r->additional) != before)
				status =
					mb_fail(r->err, MB_UNSUPPORTED, "added token \"%.100s\" is not supported: it is not special", key);
		}
	}
	return status;
}

static mb_status
read_special_tokens(reading *r)
{
	const char *token;
	json_t *unused;
	mb_status status = read_added_tokens(r);

	if (status == MB_OK)
		status = add_specials(r, json_object_get(r->config, "additional_special_tokens"), config_name);
	if (status == MB_OK)
		status = add_specials(r, json_object_get(r->config, "extra_special_tokens"), config_name);
	if (status == MB_OK)
		status = add_specials(r, json_object_get(r->specials, "additional_special_tokens"), special_name);
	if (status != MB_OK)
		return status;
	for (int i = 0; i < N_ROLES; i++)
		if (json_object_get(r->vocab.ids, r->roles[i]) == NULL)
		{
			mb_fail(r->err, MB_CORRUPT, "the vocabulary lacks the special token \"%.100s\"", r->roles[i]);
			mb_detail(r->err, "It is the %s.", role_keys[i]);
			mb_hint(r->err,
					"Say in tokenizer_config.json which token it is, or bring the vocabulary that belongs to it.");
			return MB_CORRUPT;
		}
	json_object_foreach(r->additional, token, unused)
	{
		if (json_object_get(r->vocab.ids, token) == NULL)
			return mb_fail(r->err, MB_CORRUPT, "the vocabulary lacks the additional special token \"%.100s\"", token);
	}
	return MB_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static json_t *
options_json(reading *r)
{
	json_t *list = json_array();
	const char *token;
	json_t *unused;

	json_object_foreach(r->additional, token, unused) json_array_append_new(list, json_string(token));
	return json_pack("{s:b, s:b, s:b, s:b, s:s, s:s, s:s, s:s, s:s, s:o}", "do_lower_case", r->set.lowercase,
					 "strip_accents", r->set.strip_accents, "tokenize_chinese_chars", r->set.split_cjk,
					 "split_special_tokens", r->split_special_tokens, role_keys[UNK], r->roles[UNK], role_keys[CLS],
					 r->roles[CLS], role_keys[SEP], r->roles[SEP], role_keys[PAD], r->roles[PAD], role_keys[MASK],
					 r->roles[MASK], "additional_special_tokens", list);
}

/* model_max_length is a number, or an enormous one where there is no limit. */
static int32_t
read_model_max_length(const json_t *config)
{
	double length = json_number_value(json_object_get(config, "model_max_length"));

	return length >= 1.0 && length <= 1e9 ? (int32_t) length : 0;
}

static mb_status
read_all(reading *r, const mb_config *config, const char *folder)
{
	const json_t *model = json_object_get(r->json, "model");
	mb_status status = read_class(r);

	if (status == MB_OK)
		status = read_roles(r);
	if (status == MB_OK)
		status = read_config_settings(r);
	if (status == MB_OK && r->json != NULL)
		status = check_tokenizer_json(r);
	if (status == MB_OK)
		status = import_vocab_read(&r->vocab, folder, model, r->err);
	if (status == MB_OK)
		status = read_special_tokens(r);
	if (status == MB_OK && json_array_size(r->vocab.tokens) > (size_t) config->vocab_size)
	{
		status = mb_fail(r->err, MB_CORRUPT, "the vocabulary has more tokens than the model");
		mb_detail(r->err, "The vocabulary has %zu tokens, vocab_size of config.json is %d.",
				  json_array_size(r->vocab.tokens), config->vocab_size);
		mb_hint(r->err, "Bring the vocabulary that belongs to the checkpoint.");
	}
	return status;
}

mb_status
import_tokenizer_read(import_tokenizer *tokenizer, const char *folder, const mb_config *config, mb_error *err)
{
	reading r = {.err = err, .additional = json_object()};
	mb_status status = r.additional != NULL ? MB_OK : mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");

	memset(tokenizer, 0, sizeof(*tokenizer));
	if (status == MB_OK)
		status = import_read_json(&r.config, NULL, folder, config_name, NULL, err);
	if (status == MB_OK)
		status = import_read_json(&r.json, NULL, folder, json_name, NULL, err);
	if (status == MB_OK)
		status = import_read_json(&r.specials, NULL, folder, special_name, NULL, err);
	if (status == MB_OK)
		status = import_read_json(&r.added, NULL, folder, added_name, NULL, err);
	if (status == MB_OK)
		status = read_all(&r, config, folder);
	if (status == MB_OK)
		status = import_vocab_text(&tokenizer->vocab, &r.vocab, err);
	if (status == MB_OK)
	{
		tokenizer->model_max_length = read_model_max_length(r.config);
		tokenizer->options = options_json(&r);
		if (tokenizer->options == NULL)
			status = mb_fail(err, MB_OUT_OF_MEMORY, "out of memory");
	}
	if (status != MB_OK)
		import_tokenizer_free(tokenizer);
	import_vocab_free(&r.vocab);
	json_decref(r.additional);
	json_decref(r.config);
	json_decref(r.json);
	json_decref(r.specials);
	json_decref(r.added);
	return status;
}

void
import_tokenizer_free(import_tokenizer *tokenizer)
{
	free(tokenizer->vocab);
	json_decref(tokenizer->options);
	memset(tokenizer, 0, sizeof(*tokenizer));
}
