/* compare_report.h - a comparison as tables and as JSON. */
#ifndef MOVIEBERT_TOOL_COMPARE_REPORT_H
#define MOVIEBERT_TOOL_COMPARE_REPORT_H

#include <jansson.h>

#include "compare.h"
#include "prediction_sets.h"

typedef struct compare_report
{
	const comparison *comparison;
	const prediction_set *a, *b;
	const compare_options *options;
	bool by_seed;
	size_t figure;   /* the verdict's */
	size_t max_tags; /* 0: all */
} compare_report;

void compare_print(const compare_report *report);
json_t *compare_json(const compare_report *report);

#endif
