#!/usr/bin/env python3
"""PyTorch on the shapes of bench_encoder.c: transformers' BertModel in fp32, one thread, CPU time.  Prints a JSON object.

    peer_pytorch.py [CHECKPOINT-FOLDER]     (its config, with its weights; else MiniLM-L6's shape with random ones)
"""
import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
import torch
import transformers
from transformers import BertConfig, BertModel

SHAPES = [(1, 16), (1, 32), (1, 128), (1, 256), (8, 128), (1, 512)]
SECONDS = 2.0

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
if len(sys.argv) > 1:
    model = BertModel.from_pretrained(sys.argv[1])
else:
    model = BertModel(BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536))
model.eval()

result = {"torch": torch.__version__, "transformers": transformers.__version__}
with torch.inference_mode():
    for sequences, tokens in SHAPES:
        if tokens > model.config.max_position_embeddings:
            continue
        ids = (torch.arange(sequences * tokens) * 7919 % model.config.vocab_size).reshape(sequences, tokens)
        mask = torch.ones_like(ids)
        best, used = 1e9, 0.0
        while used < SECONDS or best == 1e9:
            start = time.thread_time()
            model(ids, attention_mask=mask)
            seconds = time.thread_time() - start
            best, used = min(best, seconds), used + seconds
        result[f"{sequences}x{tokens}"] = {"ms": round(best * 1e3, 2), "tokens_per_s": round(sequences * tokens / best)}
print(json.dumps(result))
