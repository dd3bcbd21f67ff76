"""train_demo.py - makes the checkpoint that models/moviebert.safetensors is imported from. Development only: Python with torch.

A small BERT (4 layers of 256) learns from random layers to place a text where a teacher places it: all-MiniLM-L6-v2's
vectors, turned into their 256 strongest directions. At the same time it learns the genres. models/README.md tells what
came out, and from which texts.

    python models/train_demo.py --data ../shared/data --teacher FOLDER --work FOLDER

Stages, each kept in the work folder, so that an interrupted run goes on where it stopped:

    texts    texts of films and others, with folds and genre labels           texts.jsonl
    vocab    a WordPiece vocabulary of 8,192 tokens                           vocab.txt
    teacher  the teacher's vector of each text and of each token              teacher/*.npy
    train    the student                                                      checkpoint.pt, student/
    measure  retrieval, beside the teacher, on films never seen               measure.json
    head     with --connection: `moviebert import`, `moviebert finetune`      models/moviebert.safetensors
"""
import argparse
import hashlib
import json
import math
import os
import random
import re
import subprocess
import time
import unicodedata

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, BertWordPieceTokenizer
from torch import nn

GENRES = ("action adventure animation biography comedy crime documentary drama family fantasy film-noir history horror music "
          "mystery romance sci-fi sport thriller war western").split()
TRAINING, VALIDATION, TEST = range(3, 10), 1, 2
VOCAB, HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS = 8192, 256, 4, 4, 1024, 256
TEACHER_TOKENS = 256
SHARD = 8192
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


# Texts ---------------------------------------------------------------------------------------------------------------

# The first sentence of an encyclopaedia's article on a film. What it calls the film is the label; the sentence is not read.
LEAD = re.compile(r"^(.{1,100}?),? (?:\([^)]{0,200}\) )?(?:is|was) an? (?:upcoming |lost )?((?:1[89]|20)\d\d) (.{0,120}?)\b"
                  r"(film|movie|short|documentary|western|musical|serial|comedy|drama|anime|cartoon|thriller)\b", re.I)
FIRST_PERSON = re.compile(r"\b(I|I'm|I've|my|me|My)\b")
LEAD_GENRES = [
    ("action", r"action|superhero|martial arts|kung fu"), ("adventure", r"adventure|swashbuckler"),
    ("animation", r"animated|animation|anime|cartoon|stop-motion"), ("biography", r"biographical|biopic|biography"),
    ("comedy", r"comedy|comedies|comedic|dramedy|tragicomedy|farce|satire|satirical|parody|rom-?com|slapstick|screwball"),
    ("crime", r"crime|gangster|heist|caper|police procedural"), ("documentary", r"documentary|docudrama|mockumentary"),
    ("drama", r"drama|dramas|dramedy|melodrama|docudrama|tragicomedy|comedy-drama"), ("family", r"family|children's"),
    ("fantasy", r"fantasy|fairy tale"), ("film-noir", r"noir|neo-noir"), ("history", r"historical|epic historical|period drama"),
    ("horror", r"horror|slasher|zombie|vampire"), ("music", r"musical|concert|music"), ("mystery", r"mystery|whodunit|detective"),
    ("romance", r"romance|romantic|rom-?com"), ("sci-fi", r"science fiction|science-fiction|sci-fi|dystopian|post-apocalyptic"),
    ("sport", r"sports|sport|boxing|baseball"), ("thriller", r"thriller|suspense|psychological thriller"),
    ("war", r"war|propaganda war"), ("western", r"western"),
]
LEAD_GENRES = [(genre, re.compile(r"\b(?:%s)\b" % words, re.I)) for genre, words in LEAD_GENRES]


def group_of(title):
    """The data's own key of a film's title: lower case, without accents, article, punctuation, "(film)"."""
    title = re.sub(r"^(.*);(the|an|a)$", r"\2 \1", title.strip().lower()).replace("&", " and ")
    title = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    title = re.sub(r"\((?:\d{4} )?(?:film|movie)\)", "", title)
    title = re.sub(r"[^a-z0-9]+", " ", re.sub(r"['\u2019]", "", title)).strip()
    return re.sub(r"^(the|an|a) ", "", title)


def fold_of(group):
    return int(hashlib.sha256(("20261123:" + group).encode()).hexdigest()[:8], 16) % 10


def lines(path):
    """Lines of a file, decompressed when it ends in .zst."""
    with subprocess.Popen(["zstdcat", "--long=27", path], stdout=subprocess.PIPE, encoding="utf-8") as source:
        yield from (line.rstrip("\n") for line in source.stdout)


def sentences(text):
    return [s for s in re.split(r"(?<=[.!?])\s+(?=[\"'A-Z0-9])", text) if s]


def chunks(text, low, high, rng):
    """Whole sentences packed into pieces of low to high words; what is longer than that alone is cut."""
    piece, words, aim = [], 0, rng.randint(low, high)
    for sentence in sentences(text):
        sentence = sentence.split()[:180]
        if piece and words + len(sentence) > aim:
            yield " ".join(piece)
            piece, words, aim = [], 0, rng.randint(low, high)
        piece += sentence
        words += len(sentence)
    if words >= min(low, 12):
        yield " ".join(piece)


def shingles(text, n=8):
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {hash(tuple(words[i:i + n])) for i in range(len(words) - n + 1)}


def shown_titles(path):
    """Groups of the films in demo/movies.sql: what the demo shows is learnt from nowhere."""
    with open(path, encoding="utf-8") as f:
        return {group_of(t.replace("''", "'")) for t in re.findall(r"^\('((?:[^']|'')+)', \d{4},", f.read(), re.M)}


def make_texts(args, out):
    """Rows of text, kind, fold, genres (null: unknown), mask (which genres the source names at all)."""
    rng = random.Random(args.seed)
    shown = shown_titles(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "demo", "movies.sql"))
    tagged = [json.loads(line) for line in lines(os.path.join(args.data, "movies_tagged.jsonl.zst"))]
    held = set().union(*(shingles(r["text"]) for r in tagged if r["fold"] in (VALIDATION, TEST)))
    rows = []

    def add(text, kind, group, labels, known):
        """A film's text, unless it is shown by the demo or says what a text of the held-out folds says."""
        fold = fold_of(group)
        if group in shown or fold == 0:
            return False
        if fold in TRAINING:
            mine = shingles(text)
            shared = len(mine & held)
            if shared >= 12 or shared > 0.3 * max(len(mine), 1):
                return False
        rows.append({"text": text, "kind": kind, "fold": fold, "group": group, "labels": labels, "known": known})
        return True

    # Film articles and extracts: known by the form of their first sentence.
    named, dropped = {}, 0
    for line in lines(os.path.join(args.data, "corpus_movies.txt.zst")):
        found = LEAD.match(line[:400])
        if not found or FIRST_PERSON.search(line):
            continue
        first = sentences(line)[0]
        title, year = group_of(found.group(1)), int(found.group(2))
        head = re.split(r"\b(?:directed|written|produced|starring|about|based|that|which|from)\b", first[found.start(3):])[0]
        labels = [g for g, pattern in LEAD_GENRES if pattern.search(head)]
        if labels:
            named[title, year] = labels
        rest = line[len(first):].strip()
        # Who played and directed says nothing of what happens.
        kept = [s for s in sentences(rest) if not re.match(
            r"(The film|It|The movie|The picture|He|She) "
            r"(stars?|was (directed|produced|written|released|shot|filmed|distributed)|premiered)|Directed|Starring|Produced", s)]
        for n, piece in enumerate(chunks(" ".join(kept), 30, 110, rng)):
            if n == 4 or len(piece.split()) < 12:
                break
            dropped += not add(piece, "wikipedia film", title, labels or None, GENRES)
    say(len(rows), "pieces of film articles,", len(named), "films labelled by their first sentence,", dropped, "dropped")

    # Plots and extracts of the tagged set, labelled where the film's own article said its genres; catalogues, by the catalogue.
    names = {}
    for r in tagged:
        if r["source"].startswith("streaming") and r["fold"] in TRAINING:
            for g in r["genres"]:
                names.setdefault(r["source"], {}).setdefault(g, 0)
                names[r["source"]][g] += 1
    names = {s: [g for g in GENRES if counts.get(g, 0) >= 10] for s, counts in names.items()}
    for r in tagged:
        if r["source"].startswith("streaming"):
            add(r["text"], "catalogue", r["group"], r["genres"] or None, names[r["source"]])
        elif r["source"] == "wikipedia_plot":
            labels = next((named[k] for k in [(r["group"], r["year"])] if k in named), None)
            for n, piece in enumerate(chunks(r["text"], 40, 170 if read_long(r) else 110, rng)):
                if n == 6:
                    break
                add(piece, "wikipedia plot", r["group"], labels, GENRES)
    say(len(rows), "texts of films")

    # The encyclopaedia's other articles and public-domain novels, known by their form: news, mail and reviews have another.
    wiki, novels = [], []
    for line in lines(os.path.join(args.data, "corpus_general.txt.zst")):
        words = line.count(" ")
        if re.search(r"\d", line):
            if (re.match(r"[A-Z\"].{0,160}?\b(?:is|was|are|were) (?:an?|the|one of)\b", line) and not FIRST_PERSON.search(line)
                    and len(re.findall(r"\bsaid\b", line)) < 2 and "@" not in line):
                wiki.append(line)
        elif words > 500 and re.search(r"\b(?:replied|exclaimed|cried|answered)\b", line):
            novels.append(line)
    rng.shuffle(wiki)
    rng.shuffle(novels)
    say(len(wiki), "encyclopaedia articles,", len(novels), "groups of novels' paragraphs")
    for kind, source, count, each in (("wikipedia", wiki, 16000, 2), ("novel", novels, 9000, 3)):
        pieces = []
        for line in source:
            some = list(chunks(line, 25, 110, rng))
            pieces += rng.sample(some, min(each, len(some)))
            if len(pieces) >= count:
                break
        rows += [{"text": p, "kind": kind, "fold": 9, "group": "", "labels": None, "known": []} for p in pieces[:count]]

    # What people type into a search: sentences, clauses, words.
    training = [r for r in rows if r["fold"] in TRAINING]
    some = rng.sample(training, len(training))
    short = []
    for r in some:
        parts = [s for s in sentences(r["text"]) if 5 <= len(s.split()) <= 28]
        if parts:
            short.append(("sentence", rng.choice(parts)))
        parts = [p.strip(" .,;:!?\"'") for p in re.split(r"[,;:.!?()]|\b(?:and|but|who|which|when|while|that|as)\b", r["text"])]
        parts = [p for p in parts if 2 <= len(p.split()) <= 9]
        if parts:
            short.append(("clause", rng.choice(parts).lower() if rng.random() < 0.7 else rng.choice(parts)))
    counts = {}
    for r in training:
        for w in re.findall(r"[a-z]{3,}", r["text"].lower()):
            counts[w] = counts.get(w, 0) + 1
    frequent = sorted(counts, key=lambda w: (-counts[w], w))[:14000]
    wanted = {"sentence": 26000, "clause": 22000}
    for kind, text in short:
        if wanted[kind] > 0:
            wanted[kind] -= 1
            rows.append({"text": text, "kind": kind, "fold": 9, "group": "", "labels": None, "known": []})
    rows += [{"text": w, "kind": "word", "fold": 9, "group": "", "labels": None, "known": []} for w in frequent]

    seen, unique = set(), []
    for r in rows:
        if r["text"] not in seen and r["text"]:
            seen.add(r["text"])
            unique.append(r)
    rng.shuffle(unique)
    with open(out + ".part", "w", encoding="utf-8") as f:
        for r in unique:
            f.write(json.dumps(r, ensure_ascii=False) + "\n")
    os.rename(out + ".part", out)


def read_long(row):
    """One plot in five is read in long pieces, so that every position is learnt."""
    return fold_of("long:" + row["group"]) in (0, 1)


# Vocabulary ----------------------------------------------------------------------------------------------------------

def make_vocabulary(rows, folder):
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    texts = [r["text"] for r in rows if r["fold"] in TRAINING and r["kind"] not in ("sentence", "clause", "word")]
    tokenizer.train_from_iterator(texts, vocab_size=VOCAB, min_frequency=2, limit_alphabet=200, special_tokens=SPECIAL,
                                  show_progress=False)
    tokenizer.save_model(folder)


# Teacher -------------------------------------------------------------------------------------------------------------

class Encoder(nn.Module):
    """BERT's encoder with mean pooling; names are those of Hugging Face's BertModel."""

    def __init__(self, config):
        super().__init__()
        H, I = config["hidden_size"], config["intermediate_size"]
        self.heads, self.eps = config["num_attention_heads"], config.get("layer_norm_eps", 1e-12)
        self.embeddings = nn.ModuleDict({
            "word_embeddings": nn.Embedding(config["vocab_size"], H),
            "position_embeddings": nn.Embedding(config["max_position_embeddings"], H),
            "token_type_embeddings": nn.Embedding(config["type_vocab_size"], H),
            "LayerNorm": nn.LayerNorm(H, eps=self.eps)})
        layer = lambda: nn.ModuleDict({
            "attention": nn.ModuleDict({
                "self": nn.ModuleDict({n: nn.Linear(H, H) for n in ("query", "key", "value")}),
                "output": nn.ModuleDict({"dense": nn.Linear(H, H), "LayerNorm": nn.LayerNorm(H, eps=self.eps)})}),
            "intermediate": nn.ModuleDict({"dense": nn.Linear(H, I)}),
            "output": nn.ModuleDict({"dense": nn.Linear(I, H), "LayerNorm": nn.LayerNorm(H, eps=self.eps)})})
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([layer() for _ in range(config["num_hidden_layers"])])})

    def norm(self, layer, x):
        return F.layer_norm(x, layer.normalized_shape, layer.weight.to(x.dtype), layer.bias.to(x.dtype), self.eps)

    def forward(self, ids, lengths, dropout=0.0):
        B, T = ids.shape
        live = torch.arange(T)[None, :] < lengths[:, None]
        drop = lambda x: F.dropout(x, dropout, self.training) if dropout else x
        e = self.embeddings
        x = e["word_embeddings"](ids) + e["position_embeddings"].weight[:T] + e["token_type_embeddings"].weight[0]
        x = drop(self.norm(e["LayerNorm"], x))
        x = x.to(torch.bfloat16) if torch.is_autocast_enabled("cpu") else x
        mask = torch.zeros(B, 1, 1, T, dtype=x.dtype).masked_fill(~live[:, None, None, :], -1e4)
        for layer in self.encoder["layer"]:
            a = layer["attention"]
            q, k, v = (a["self"][n](x).view(B, T, self.heads, -1).transpose(1, 2) for n in ("query", "key", "value"))
            scores = torch.matmul(q, k.transpose(-1, -2)) * (1 / math.sqrt(q.shape[-1])) + mask
            mixed = torch.matmul(torch.softmax(scores, -1), v).transpose(1, 2).reshape(B, T, -1)
            x = self.norm(a["output"]["LayerNorm"], x + drop(a["output"]["dense"](mixed)))
            wide = F.gelu(layer["intermediate"]["dense"](x))
            x = self.norm(layer["output"]["LayerNorm"], x + drop(layer["output"]["dense"](wide)))
        weights = live[:, :, None].to(torch.float32)
        return (x.float() * weights).sum(1) / weights.sum(1)


def load_teacher(folder):
    from safetensors.torch import load_file
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        teacher = Encoder(json.load(f))
    weights = load_file(os.path.join(folder, "model.safetensors"))
    teacher.load_state_dict({n: w.float() for n, w in weights.items() if not n.startswith("pooler.") and "position_ids" not in n})
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TEACHER_TOKENS)
    return teacher.eval(), tokenizer


def pack(encoded, order, tokens):
    """Consecutive runs of texts in the given order whose padded size stays within so many tokens."""
    batch, longest = [], 0
    for i in order:
        longest = max(longest, len(encoded[i]))
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch, longest = [], len(encoded[i])
        batch.append(i)
    if batch:
        yield batch


def padded(encoded, batch):
    lengths = torch.tensor([len(encoded[i]) for i in batch])
    ids = torch.zeros(len(batch), int(lengths.max()), dtype=torch.long)
    for n, i in enumerate(batch):
        ids[n, :len(encoded[i])] = torch.as_tensor(encoded[i].astype(np.int64))
    return ids, lengths


def embed(encoder, encoded, tokens=2048, half=True):
    """Normalised vectors of all texts."""
    out = None
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        for batch in pack(encoded, sorted(range(len(encoded)), key=lambda i: len(encoded[i])), tokens):
            vectors = F.normalize(encoder(*padded(encoded, batch)), dim=-1).numpy()
            if out is None:
                out = np.zeros((len(encoded), vectors.shape[1]), dtype=np.float32)
            out[batch] = vectors
    return out


def tokenise(tokenizer, texts):
    return [np.array(e.ids, dtype=np.int32) for e in tokenizer.encode_batch(texts)]


def ask_teacher(rows, args, folder):
    os.makedirs(folder, exist_ok=True)
    teacher, tokenizer = load_teacher(args.teacher)
    with open(os.path.join(args.work, "vocab.txt"), encoding="utf-8") as f:
        vocabulary = [line.rstrip("\n") for line in f]
    parts = [("tokens", [t[2:] if t.startswith("##") else t for t in vocabulary])]
    parts += [("shard-%03d" % n, [r["text"] for r in rows[at:at + SHARD]]) for n, at in enumerate(range(0, len(rows), SHARD))]
    for name, texts in parts:
        path = os.path.join(folder, name + ".npy")
        if os.path.exists(path):
            continue
        started, encoded = time.time(), tokenise(tokenizer, texts)
        vectors = embed(teacher, encoded)
        np.save(path + ".part.npy", vectors.astype(np.float16))
        os.rename(path + ".part.npy", path)
        tokens = sum(map(len, encoded))
        say("teacher:", name, len(texts), "texts,", tokens, "tokens,", round(tokens / (time.time() - started)), "tokens/s")


# Student -------------------------------------------------------------------------------------------------------------

CONFIG = {"architectures": ["BertModel"], "model_type": "bert", "vocab_size": VOCAB, "hidden_size": HIDDEN,
          "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INTERMEDIATE,
          "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
          "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
          "position_embedding_type": "absolute", "torch_dtype": "float16"}
TEMPERATURE = 0.05      # of the distributions over other texts
NEIGHBOURS = 1024       # other texts in each such distribution
LABEL_SCALE = 16.0      # the head reads vectors of length 1: its weights start as if they were 16 times as large


class Student(nn.Module):
    def __init__(self, tokens):
        """tokens [V,H]: the teacher's vectors of the vocabulary, where the words start."""
        super().__init__()
        self.bert = Encoder(CONFIG)
        self.head = nn.Linear(HIDDEN, len(GENRES))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        for layer in self.bert.encoder["layer"]:
            for n in ("query", "key", "value"):
                nn.init.zeros_(layer["attention"]["self"][n].bias)
            for dense in (layer["attention"]["output"]["dense"], layer["intermediate"]["dense"], layer["output"]["dense"]):
                nn.init.zeros_(dense.bias)
        with torch.no_grad():
            e = self.bert.embeddings
            e["word_embeddings"].weight.copy_(tokens)
            e["token_type_embeddings"].weight.zero_()
            self.head.bias.fill_(-2.0)

    def forward(self, ids, lengths):
        return F.normalize(self.bert(ids, lengths), dim=-1)

    def logits(self, vectors):
        return LABEL_SCALE * F.linear(vectors, self.head.weight) + self.head.bias


def directions(vectors):
    """The HIDDEN strongest directions of the teacher's vectors, [384,H], and the share of their squared length kept."""
    u, s, vt = np.linalg.svd(vectors.T.astype(np.float64) @ vectors.astype(np.float64))
    return u[:, :HIDDEN].astype(np.float32), float(s[:HIDDEN].sum() / s.sum())


def batches(encoded, chosen, tokens, seed):
    """An endless sequence of batches of texts of like length, the same for the same seed; each epoch in another order."""
    for epoch in range(10 ** 6):
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(chosen)
        packed = []
        for at in range(0, len(order), 6000):
            some = order[at:at + 6000]
            packed += pack(encoded, sorted(some, key=lambda i: len(encoded[i])), tokens)
        for n in rng.permutation(len(packed)):
            yield packed[n]


def soft_rank(vectors, targets, teacher, others, itself):
    """Cross entropy between teacher's and student's distributions over the same other texts, less the teacher's entropy."""
    want = teacher @ others[0].T / TEMPERATURE
    have = vectors @ targets.T / TEMPERATURE
    if itself is not None:
        want, have = want.masked_fill(itself, -1e4), have.masked_fill(itself, -1e4)
    want = torch.log_softmax(want, -1)
    return (want.exp() * (want - torch.log_softmax(have, -1))).sum(-1).mean()


def load_labels(rows):
    at = {g: i for i, g in enumerate(GENRES)}
    labels, known = np.zeros((len(rows), len(GENRES)), np.float32), np.zeros((len(rows), len(GENRES)), np.float32)
    for n, r in enumerate(rows):
        if r["labels"]:
            known[n, [at[g] for g in r["known"]]] = 1
            for g in r["labels"]:
                labels[n, at[g]] = known[n, at[g]] = 1
    return torch.from_numpy(labels), torch.from_numpy(known)


def load_vectors(folder, n_rows):
    shards = [np.load(os.path.join(folder, "shard-%03d.npy" % n)) for n in range(-(-n_rows // SHARD))]
    return np.concatenate(shards).astype(np.float32)


def student_tokenizer(work):
    tokenizer = BertWordPieceTokenizer(os.path.join(work, "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(POSITIONS)
    return tokenizer


def train(rows, args):
    torch.manual_seed(args.seed)
    encoded = tokenise(student_tokenizer(args.work), [r["text"] for r in rows])
    vectors = load_vectors(os.path.join(args.work, "teacher"), len(rows))
    training = np.array([i for i, r in enumerate(rows) if r["fold"] in TRAINING])
    basis, kept = directions(vectors[training])
    targets = torch.from_numpy(vectors @ basis)
    targets = F.normalize(targets, dim=-1)
    vectors = torch.from_numpy(vectors)
    tokens = torch.from_numpy(np.load(os.path.join(args.work, "teacher", "tokens.npy")).astype(np.float32) @ basis)
    labels, known = load_labels(rows)
    say("%d texts of %d tokens to learn from, %d with genres; %d directions keep %.4f of the teacher's squared length" % (
        len(training), sum(len(encoded[i]) for i in training), int((known[training].sum(1) > 0).sum()), HIDDEN, kept))

    student = Student(tokens)
    decayed = [p for p in student.parameters() if p.dim() > 1]
    rest = [p for p in student.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0}],
                                  lr=args.rate, betas=(0.9, 0.98), eps=1e-6)
    path, step = os.path.join(args.work, "checkpoint.pt"), 0
    if os.path.exists(path):
        state = torch.load(path)
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        say("going on from step", step)
    validation = [i for i, r in enumerate(rows) if r["fold"] == VALIDATION]
    supply = batches(encoded, training, args.batch, args.seed)
    for _ in range(step):
        next(supply)
    sums, started, seen = np.zeros(4), time.time(), 0
    student.train()
    while step < args.steps:
        batch = next(supply)
        rng = np.random.default_rng([args.seed, step, 1])
        others = torch.from_numpy(rng.choice(training, NEIGHBOURS, replace=False))
        rate = args.rate * min((step + 1) / (0.04 * args.steps), 1 - step / args.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids, lengths = padded(encoded, batch)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.half):
            v = student(ids, lengths)
        b = torch.tensor(batch)
        itself = torch.eye(len(batch), dtype=torch.bool)
        pool = torch.cat([others, b])
        direct = (1 - (v * targets[b]).sum(-1)).mean()
        bank = soft_rank(v, targets[pool], vectors[b], (vectors[pool],), None)
        among = soft_rank(v, v, vectors[b], (vectors[b],), itself) if len(batch) > 2 else v.sum() * 0
        mask = known[b]
        genre = F.binary_cross_entropy_with_logits(student.logits(v), labels[b], mask, reduction="sum") / mask.sum().clamp(min=50)
        loss = 3 * direct + bank + among + args.genres * genre
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 2.0)
        optimizer.step()
        step += 1
        seen += int(lengths.sum())
        sums += [float(direct.detach()), float(bank.detach()), float(among.detach()), float(genre.detach())]
        if step % 100 == 0:
            say("step %d/%d  direct %.4f  bank %.4f  among %.4f  genres %.4f  rate %.2e  %.0f tokens/s" % (
                (step, args.steps, *(sums / 100), rate, seen / (time.time() - started))))
            sums[:], started, seen = 0, time.time(), 0
        if step % 250 == 0 or step == args.steps:
            student.eval()
            v = torch.from_numpy(embed(student.bert, [encoded[i] for i in validation]))
            with torch.no_grad():
                scores = student.logits(v).numpy()
            y, k = labels[validation].numpy(), known[validation].numpy()
            say("   validation: cosine %.4f  masked macro AP %.4f" % (
                float((v * targets[validation]).sum(-1).mean()), masked_macro_ap(scores, y, k)))
            student.train()
            torch.save({"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path + ".part")
            os.rename(path + ".part", path)
            write_checkpoint(student, args.work)
            started, seen = time.time(), 0


def masked_macro_ap(scores, labels, known):
    from sklearn.metrics import average_precision_score
    values = []
    for l in range(labels.shape[1]):
        rows = known[:, l] > 0
        if labels[rows, l].any():
            values.append(average_precision_score(labels[rows, l], scores[rows, l]))
    return float(np.mean(values))


def write_checkpoint(student, work):
    """A sentence-transformers folder, fp16; the head beside it."""
    from safetensors.torch import save_file
    folder = os.path.join(work, "student")
    os.makedirs(os.path.join(folder, "1_Pooling"), exist_ok=True)
    save_file({n: w.detach().to(torch.float16).contiguous() for n, w in student.bert.state_dict().items()},
              os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})

    def write(name, content):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(content, f, indent=1)
            f.write("\n")
    write("config.json", CONFIG)
    write("tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS})
    write("special_tokens_map.json", dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL)))
    write("modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
    write("sentence_bert_config.json", {"max_seq_length": POSITIONS, "do_lower_case": False})
    write(os.path.join("1_Pooling", "config.json"), {
        "word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False})
    with open(os.path.join(work, "vocab.txt"), encoding="utf-8") as source, \
            open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as copy:
        copy.write(source.read())
    np.savez(os.path.join(work, "head.npz"), weight=LABEL_SCALE * student.head.weight.detach().numpy(),
             bias=student.head.bias.detach().numpy())


# Measures ------------------------------------------------------------------------------------------------------------

def halves(args, fold, count):
    """The two halves of texts of at least 40 words, one text of a film, of one fold."""
    rng, first, seen = random.Random(args.seed), [], set()
    rows = [json.loads(line) for line in lines(os.path.join(args.data, "movies_tagged.jsonl.zst"))]
    rng.shuffle(rows)
    for r in rows:
        words = r["text"].split()[:340]
        if r["fold"] == fold and len(words) >= 40 and r["group"] not in seen:
            seen.add(r["group"])
            first.append((" ".join(words[:len(words) // 2]), " ".join(words[len(words) // 2:])))
    return first[:count]


def recall(queries, answers, k):
    order = np.argsort(-(queries @ answers.T), axis=1)[:, :k]
    return float((order == np.arange(len(queries))[:, None]).any(1).mean())


def measure(args):
    pairs = halves(args, TEST, 2000)
    result = {"pairs": len(pairs)}
    teacher, teacher_tokens = load_teacher(args.teacher)
    from safetensors.torch import load_file
    student = Encoder(CONFIG).eval()
    student.load_state_dict({n: w.float() for n, w in load_file(os.path.join(args.work, "student", "model.safetensors")).items()})
    for name, encoder, tokenizer in (("student", student, student_tokenizer(args.work)), ("teacher", teacher, teacher_tokens)):
        a, b = (embed(encoder, tokenise(tokenizer, [p[side] for p in pairs]), half=args.half) for side in (0, 1))
        result[name] = {"recall_at_%d" % k: round(recall(a, b, k), 4) for k in (1, 10)}
    with open(os.path.join(args.work, "measure.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
    say(json.dumps(result))


# Head ----------------------------------------------------------------------------------------------------------------

def run_sql(connection, command, rows=None):
    """Runs SQL with psql; rows go into a COPY ... FROM STDIN as JSON text, one a line."""
    data = None if rows is None else "".join(json.dumps(r).replace("\\", "\\\\") + "\n" for r in rows)
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", connection, "-c", command], input=data,
                   text=True, check=True)


def make_head(rows, args):
    """The tags, by moviebert itself: trained on the frozen student's vectors, measured on rows of all sources."""
    rows = [r for r in rows if r["labels"] and r["fold"] != TEST]
    tagged = [json.loads(line) for line in lines(os.path.join(args.data, "movies_tagged.jsonl.zst"))]
    rows += [{"text": r["text"], "labels": r["genres"], "group": r["group"], "fold": TEST}
             for r in tagged if r["fold"] == TEST and r["genres"]]
    run_sql(args.connection, "DROP TABLE IF EXISTS demo_raw, demo_texts; CREATE TABLE demo_raw (row jsonb)")
    run_sql(args.connection, "COPY demo_raw FROM STDIN", rows)
    run_sql(args.connection, """
        CREATE TABLE demo_texts AS
            SELECT row->>'text' AS text, ARRAY(SELECT jsonb_array_elements_text(row->'labels')) AS tags,
                   row->>'group' AS film, (row->>'fold')::int AS fold
              FROM demo_raw;
        DROP TABLE demo_raw""")
    base = os.path.join(args.work, "base.safetensors")
    subprocess.run([args.tool, "import", os.path.join(args.work, "student"), "-o", base], check=True)
    query = "SELECT text, tags, film FROM demo_texts WHERE fold "
    subprocess.run([args.tool, "finetune", "--model", base, "-o", args.output, "--freeze", "all", "-d", args.connection,
                    "--query", query + "> 2", "--validation-query", query + "= 1", "--test-query", query + "= 2",
                    "--key", "film", "--cache", os.path.join(args.work, "vectors.cache")], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with movies_tagged.jsonl.zst and the two corpora")
    parser.add_argument("--teacher", required=True, help="folder of all-MiniLM-L6-v2: config.json, model.safetensors, tokenizer.json")
    parser.add_argument("--work", required=True, help="folder for what is kept between stages")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--texts", type=int, default=81920,
                        help="how many of the texts, which are shuffled, the encoder learns from; the head uses all")
    parser.add_argument("--steps", type=int, default=5500)
    parser.add_argument("--batch", type=int, default=2560, help="tokens in a step")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--genres", type=float, default=1.0, help="weight of the genres' loss")
    parser.add_argument("--no-half", dest="half", action="store_false", help="fp32 instead of bf16: for a CPU without AVX512_BF16")
    parser.add_argument("--connection", help="a database for the rows that the head is trained on (a connection string)")
    parser.add_argument("--tool", default="./moviebert", help="the program moviebert")
    parser.add_argument("-o", "--output", default="models/moviebert.safetensors", help="the model file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.work, exist_ok=True)
    texts = os.path.join(args.work, "texts.jsonl")
    if not os.path.exists(texts):
        make_texts(args, texts)
    with open(texts, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    if not os.path.exists(os.path.join(args.work, "vocab.txt")):
        make_vocabulary(rows, args.work)
    some = rows[:args.texts]
    ask_teacher(some, args, os.path.join(args.work, "teacher"))
    train(some, args)
    measure(args)
    if args.connection:
        make_head(rows, args)


if __name__ == "__main__":
    main()
