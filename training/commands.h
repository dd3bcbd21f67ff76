/* commands.h - the tool's commands; each lives in command_NAME.c with its own options table. */
#ifndef MOVIEBERT_TOOL_COMMANDS_H
#define MOVIEBERT_TOOL_COMMANDS_H

#include "options.h"

extern const command_spec command_import;
extern const command_spec command_info;
extern const command_spec command_install;
extern const command_spec command_export;
extern const command_spec command_vocab;
extern const command_spec command_pretrain;
extern const command_spec command_finetune;
extern const command_spec command_evaluate;
extern const command_spec command_compare;
extern const command_spec command_report;

#endif
