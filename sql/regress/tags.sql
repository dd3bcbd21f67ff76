-- bert_tags and bert_tag_scores: which tags, in which order; options; models of other kinds.
\set ECHO none
\getenv tree MOVIEBERT_TREE
\set load :tree '/test/golden/sql/load.sql'
\set reference :tree '/test/golden/sql/reference.sql'
\set unload :tree '/test/golden/sql/unload.sql'
\t on
\a
\i :load
\set ECHO all
\set ECHO none
\i :reference
\set ECHO all
SELECT bert_default_model('tagger');

-- Scores equal to the reference, best first.
SELECT r.model, count(*), max(abs(s.score - r.scores[array_position(m.tags, s.tag)])) <= 1e-4 AS equal
  FROM reference r JOIN bert_models m ON m.name = r.model, bert_tag_scores(r.text, r.model) AS s
 WHERE r.model <> 'plain'
 GROUP BY r.model ORDER BY r.model;
SELECT tag, round(score::numeric, 3) FROM bert_tag_scores('The ghost ship.');
SELECT bool_and(sorted) FROM (
    SELECT score <= lag(score, 1, 'infinity') OVER (PARTITION BY r.text ORDER BY ordinality) AS sorted
      FROM reference r, bert_tag_scores(r.text) WITH ORDINALITY WHERE r.model = 'tagger') AS s;

-- Thresholds of the model: horror 0.45, comedy 0.72, romance 0.48, café noir 0.8; science fiction has none, so 0.5.
SELECT text, bert_tags(text) FROM reference WHERE model = 'tagger' AND length(text) < 60;

-- Options: the k best; a threshold of one's own; both; none that reaches it.
SELECT bert_tags('The ghost ship.', top_k => 2);
SELECT bert_tags('The ghost ship.', 4);
SELECT bert_tags('The ghost ship.', top_k => 100);
SELECT bert_tags('The ghost ship.', threshold => 0.7);
SELECT bert_tags('The ghost ship.', threshold => 0);
SELECT bert_tags('The ghost ship.', threshold => 1);
SELECT bert_tags('The ghost ship.', 'tagger', top_k => 1, threshold => 0.7);
SELECT bert_tags('The ghost ship.', 'tagger', 5, 0.85);
SELECT bert_tags('The ghost ship.', top_k => NULL, threshold => NULL) = bert_tags('The ghost ship.');
SELECT tag FROM bert_tag_scores('The ghost ship.', top_k => 2);
SELECT tag FROM bert_tag_scores('The ghost ship.', 'tagger', threshold => 0.7);
-- A score as it is shown reaches itself as a threshold.
SELECT bool_and(s.tag = ANY (bert_tags('The ghost ship.', threshold => s.score::text::float8))) FROM bert_tag_scores('The ghost ship.') AS s;

-- As columns of any text type and in named notation.
CREATE TABLE plots (t text, v varchar(40), c char(40));
INSERT INTO plots VALUES ('The ghost ship.', 'The ghost ship.', 'The ghost ship.');
SELECT bert_tags(t) = bert_tags(v), bert_tags(t) = bert_tags(c), bert_tags(t, 'tagger') = bert_tags(text => v, model => 'tagger'::varchar) FROM plots;
PREPARE tags(text, text, int) AS SELECT bert_tags($1, $2, top_k => $3);
EXECUTE tags('ghost', 'tagger', 1);
EXECUTE tags('ghost', 'genre', 1);
DEALLOCATE tags;
DROP TABLE plots;

-- Null.
SELECT bert_tags(NULL) IS NULL, bert_tags(NULL, 'tagger') IS NULL, bert_tags('x', NULL) IS NULL, bert_tags('x', NULL::text, 1, 0.5) IS NULL;
SELECT count(*) FROM bert_tag_scores(NULL);
SELECT count(*) FROM bert_tag_scores('x', NULL::text);

-- Of a single-label model, the best.
SELECT text, bert_tags(text, 'genre') FROM reference WHERE model = 'genre' AND length(text) BETWEEN 1 AND 40;
SELECT bert_tags('The ghost ship.', 'genre', top_k => 2), bert_tags('The ghost ship.', 'genre', threshold => 0.999);
SELECT round(sum(score)::numeric, 4) FROM bert_tag_scores('The ghost ship.', 'genre');

-- Of a model that predicts a number, its number.
SELECT tag, round(score::numeric, 2) FROM bert_tag_scores('ghost', 'rating');
SELECT pg_temp.failure($$ SELECT bert_tags('ghost', 'rating') $$);
SELECT pg_temp.failure($$ SELECT bert_tag_scores('ghost', 'rating', threshold => 0.5) $$);

-- Errors.
SELECT pg_temp.failure($$ SELECT bert_tags('ghost', 'plain') $$);
SELECT pg_temp.failure($$ SELECT bert_tag_scores('ghost', 'plain') $$);
SET moviebert.model = 'plain';
SELECT pg_temp.failure($$ SELECT bert_tags('ghost') $$);
RESET moviebert.model;
SELECT pg_temp.failure($$ SELECT bert_tags('ghost', 'nobody') $$) ~ '^42704 .*nobody';
SELECT pg_temp.failure($$ SELECT bert_tags('ghost', top_k => 0) $$);
SELECT pg_temp.failure($$ SELECT bert_tag_scores('ghost', top_k => -7) $$);
SELECT pg_temp.failure($$ SELECT bert_tags('ghost', threshold => 1.5) $$);
SELECT pg_temp.failure($$ SELECT bert_tags('ghost', threshold => 'NaN') $$);
SELECT pg_temp.failure($$ SELECT bert_tag_scores('ghost', threshold => -0.1) $$);
\i :unload
