#!/usr/bin/env python3
"""ONNX Runtime on the shapes of bench_encoder.c: BertModel in fp32 with its graph optimisations, one thread, CPU time.
Prints a JSON object.

    peer_onnxruntime.py [CHECKPOINT-FOLDER]     (its config, with its weights; else MiniLM-L6's shape with random ones)
"""
import io
import json
import os
import sys
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")
import onnxruntime
import torch
import transformers
from transformers import BertConfig, BertModel

SHAPES = [(1, 16), (1, 32), (1, 128), (1, 256), (8, 128), (1, 512)]
SECONDS = 2.0

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
options = {"attn_implementation": "eager"} if int(transformers.__version__.split(".")[0]) > 4 else {}
if len(sys.argv) > 1:
    model = BertModel.from_pretrained(sys.argv[1], **options)
else:
    model = BertModel(BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, **options))
model.eval()
positions, vocabulary = model.config.max_position_embeddings, model.config.vocab_size


class Hidden(torch.nn.Module):
    """The last hidden states alone, so that nothing else is computed."""

    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask):
        return self.bert(input_ids=input_ids, attention_mask=attention_mask)[0]


def session_of(sequences, tokens):
    """A graph of fixed shape, which gives the optimiser most to work with."""
    ids = (torch.arange(sequences * tokens) * 7919 % vocabulary).reshape(sequences, tokens)
    inputs = (ids, torch.ones_like(ids))
    file = io.BytesIO()
    legacy = {} if torch.__version__ < "2.5" else {"dynamo": False}
    torch.onnx.export(Hidden(model), inputs, file, input_names=["input_ids", "attention_mask"], output_names=["hidden"],
                      opset_version=14, **legacy)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(file.getvalue(), settings, providers=["CPUExecutionProvider"])
    return session, {"input_ids": inputs[0].numpy(), "attention_mask": inputs[1].numpy()}


result = {"onnxruntime": onnxruntime.__version__}
for sequences, tokens in SHAPES:
    if tokens > positions:
        continue
    session, given = session_of(sequences, tokens)
    best, used = 1e9, 0.0
    while used < SECONDS or best == 1e9:
        start = time.thread_time()
        session.run(None, given)
        seconds = time.thread_time() - start
        best, used = min(best, seconds), used + seconds
    result[f"{sequences}x{tokens}"] = {"ms": round(best * 1e3, 2), "tokens_per_s": round(sequences * tokens / best)}
print(json.dumps(result))
