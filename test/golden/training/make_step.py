"""Two steps of training by PyTorch, in float64: the tiny models, gradients and weights that test_net_golden.c compares with.

    python3 test/golden/training/make_step.py        (torch, transformers, safetensors)

mlm.safetensors: transformers' BertForMaskedLM, padded, loss the mean over the masked places.  tags.safetensors: BertModel, mean
over each text's tokens, a linear classifier at ten times the rate, mean binary cross entropy.  Each holds
before.NAME, gradient.NAME (of the first step, before clipping) and after.NAME (two steps later), and in __metadata__ the config,
the batch, the losses, and the norms of the gradients.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, BertModel

HERE = pathlib.Path(__file__).resolve().parent
LENGTHS = [7, 1, 4, 9]
RATE, HEAD_RATE, CLIP, DECAY = 1e-3, 1e-2, 0.5, 0.01
LABELS = 3

config = BertConfig(vocab_size=37, hidden_size=10, num_hidden_layers=2, num_attention_heads=2, intermediate_size=14,
                    max_position_embeddings=12, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
                    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = torch.nn.Linear(config.hidden_size, LABELS)

    def forward(self, ids, mask):
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask[:, :, None].to(hidden.dtype)
        return self.classifier((hidden * weights).sum(1) / weights.sum(1))


def name_of(name):
    return name.removeprefix("bert.")


def randomise(model):
    """Weights large enough that nothing is nearly linear; float32 numbers, so that both sides start from the same."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.uniform_(-0.5, 0.5)
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
            parameter.copy_(parameter.float().double())


def two_steps(model, loss_of, path, metadata):
    tensors, losses, norms = {}, [], []
    groups = [{"params": [p], "lr": HEAD_RATE if n.startswith("classifier") else RATE,
               "weight_decay": DECAY if p.dim() == 2 else 0.0} for n, p in model.named_parameters()]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)
    for name, p in model.named_parameters():
        tensors["before." + name_of(name)] = p.detach().float().clone()
    for step in range(2):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            for name, p in model.named_parameters():
                tensors["gradient." + name_of(name)] = p.grad.float().clone()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        optimizer.step()
    for name, p in model.named_parameters():
        tensors["after." + name_of(name)] = p.detach().float().clone()
    metadata |= {"losses": losses, "norms": norms, "rate": RATE, "head_rate": HEAD_RATE, "clip": CLIP,
                 "weight_decay": DECAY, "lengths": LENGTHS,
                 "sizes": [config.vocab_size, config.hidden_size, config.num_hidden_layers, config.num_attention_heads,
                           config.intermediate_size, config.max_position_embeddings, config.type_vocab_size]}
    save_file(tensors, path, {"step": json.dumps(metadata)})
    print(path.name, losses, norms)


def main():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    ids = torch.randint(0, config.vocab_size, (len(LENGTHS), max(LENGTHS)))
    mask = (torch.arange(max(LENGTHS))[None, :] < torch.tensor(LENGTHS)[:, None]).long()
    packed = [int(x) for x in ids[mask.bool()]]

    model = BertForMaskedLM(config)
    randomise(model)
    labels = torch.randint(0, config.vocab_size, ids.shape)
    masked = (torch.rand(ids.shape) < 0.4) & mask.bool()
    labels[~masked] = -100
    places = [i for i, m in enumerate(masked[mask.bool()]) if m]
    two_steps(model, lambda: model(input_ids=ids, attention_mask=mask, labels=labels).loss,
              HERE / "mlm.safetensors",
              {"ids": packed, "places": places, "labels": [int(x) for x in labels[masked]]})

    tagger = Tagger()
    randomise(tagger)
    tags = (torch.rand(len(LENGTHS), LABELS) < 0.5).double()
    two_steps(tagger, lambda: torch.nn.functional.binary_cross_entropy_with_logits(tagger(ids, mask), tags),
              HERE / "tags.safetensors",
              {"ids": packed, "tags": [int(x) for x in tags.flatten()]})


if __name__ == "__main__":
    main()
