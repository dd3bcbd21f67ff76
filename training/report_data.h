/*
 * report_data.h - what a run's page shows beyond its curves, as JSON: computed while scores and labels are at hand.
 *
 * The "final" line of metrics.jsonl, for a fine-tune:
 *   {"type":"final", "metrics": metrics_json(m, names, true),        card.h, with per_tag
 *    "calibration": report_calibration_json(...), "cooccurrence": report_cooccurrence_json(...)}
 * The manifest of a run that has a vocabulary of its own:
 *   "vocabulary": report_vocabulary_json(...)
 * Each part may be absent; the page then goes without it.
 */
#ifndef MOVIEBERT_TOOL_REPORT_DATA_H
#define MOVIEBERT_TOOL_REPORT_DATA_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "vocabulary_use.h"

/* Tags of the map of tags that stand together. */
#define REPORT_MAP_TAGS 20

/*
 * How scores compare with what is true, in the 15 equal bins of metrics.h's ECE.
 *   scores [n_rows,n_tags] in [0,1]   labels [n_rows,n_tags]   known [n_rows,n_tags], 0: left out; NULL: all are known
 * {"pairs":n,"ece":x,"brier":x,"bins":[{"from":x,"to":x,"count":n,"mean_score":x,"share":x}, ...]}
 * share: of the pairs of the bin that are true.  Of an empty bin both means are null; of no pairs, ece and brier.
 */
json_t *report_calibration_json(const float *scores, const uint8_t *labels, const uint8_t *known, size_t n_rows,
								size_t n_tags);

/*
 * Which tags stand together, for the max_tags most frequent (0: REPORT_MAP_TAGS); tags without a row are left out.
 * {"rows":n,"tags":[name, ...],"support":[n, ...],"together":[[n, ...], ...]}
 * together[i][j]: rows with both i and j; together[i][i] is support[i].
 */
json_t *report_cooccurrence_json(const uint8_t *labels, const uint8_t *known, const char *const *names, size_t n_rows,
								 size_t n_tags, size_t max_tags);

/*
 * Words that `own` has and the other vocabulary lacks, and the reverse: the most used first, then in the order of their
 * vocabulary.  Continuations ("##ing"), single characters and special tokens are counted and not listed.
 * {"other":name,"tokens":n,"added_tokens":n,"missing_tokens":n,"tokens_per_word":x,"other_tokens_per_word":x,
 *  "added":[{"token":t,"uses":n}, ...],"missing":[...]}, at most max_listed of each.  Where nobody counted what words take,
 * tokens_per_word is null.
 */
json_t *report_vocabulary_json(const vocabulary_use *own, const vocabulary_use *other, const char *other_name,
							   size_t max_listed);

#endif
