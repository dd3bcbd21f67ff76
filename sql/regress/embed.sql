-- bert_embed: against the reference; the array form; volatility; the default model; errors.
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

-- Equal to the reference, to five decimals.
SELECT r.model, count(*), count(DISTINCT r.text), max(abs(u.ours - u.theirs)) <= 1e-5 AS equal
  FROM reference r, unnest(bert_embed(r.text, r.model), r.embedding) AS u (ours, theirs)
 GROUP BY r.model ORDER BY r.model;
SELECT DISTINCT model, array_ndims(bert_embed(text, model)), array_lower(bert_embed(text, model), 1),
       array_length(bert_embed(text, model), 1)
  FROM reference ORDER BY model;

-- The default model: the database's, the setting's.
SELECT pg_temp.failure($$ SELECT bert_embed('ghost') $$);
SELECT bert_default_model('tagger');
SELECT bert_embed('ghost') = bert_embed('ghost', 'tagger');
SET moviebert.model = 'plain';
SELECT bert_embed('ghost') = bert_embed('ghost', 'plain'), bert_embed('ghost') = bert_embed('ghost', 'tagger');
PREPARE search AS SELECT model, bert_embed('a ghost') = bert_embed('a ghost', model) FROM (VALUES ('plain'), ('tagger')) AS m (model);
SET plan_cache_mode = force_generic_plan;
EXECUTE search;
SET moviebert.model = 'tagger';
EXECUTE search;
RESET moviebert.model;
EXECUTE search;
DEALLOCATE search;
RESET plan_cache_mode;

-- A constant is computed once, and another text or model is not mistaken for it.
SELECT count(DISTINCT bert_embed('the same')), count(DISTINCT bert_embed('the same' || i)), count(DISTINCT bert_embed('the same', m))
  FROM generate_series(1, 3) AS i, (VALUES ('plain'), ('tagger')) AS t (m);

-- Null and empty.
SELECT bert_embed(NULL) IS NULL, bert_embed(NULL, 'tagger') IS NULL, bert_embed('x', NULL) IS NULL, bert_embed(NULL::text[]) IS NULL;
SELECT bert_embed('') = bert_embed(E' \t\n '), bert_embed('', 'tagger') IS NOT NULL;

-- Arrays: a row's bits are those of the text alone, in any company.
SELECT model, bool_and(pg_temp.bits(bert_embed(texts[i], model)) = pg_temp.bits(vectors[i:i])) AS same, array_dims(vectors)
  FROM (SELECT model, array_agg(text ORDER BY text) AS texts, bert_embed(array_agg(text ORDER BY text), model) AS vectors
          FROM reference GROUP BY model) AS r, generate_subscripts(texts, 1) AS i
 GROUP BY model, vectors ORDER BY model;
SELECT pg_temp.bits(bert_embed('{ghost,ghost}'::text[])) = repeat(pg_temp.bits(bert_embed('ghost')), 2);
SELECT bert_embed('{}'::text[]), bert_embed('{}'::text[], 'plain');
SELECT array_dims(bert_embed('[5:6]={a,b}'::text[])), array_dims(bert_embed(ARRAY['a', 'b']::varchar[]));
SELECT pg_temp.failure($$ SELECT bert_embed('{a,NULL,b}'::text[]) $$);
SELECT pg_temp.failure($$ SELECT bert_embed('{{a,b},{c,d}}'::text[]) $$);
SELECT pg_temp.failure($$ SELECT bert_embed('{a,b}'::text[], 'nobody') $$) ~ '^42704 ';

-- What was computed is counted, and what a model that truncates has cut: genre reads 30 tokens, tagger windows of 14.
SELECT bert_session_stats_reset();
SELECT calls, texts, tokens, windows, truncated FROM bert_session_stats();
SELECT bert_embed(repeat('ghost ', 30), 'genre') IS NOT NULL;
SELECT * FROM bert_session_stats();
SELECT bert_embed(repeat('ghost ', 31), 'genre') IS NOT NULL, bert_tags(repeat('ghost ', 40), 'genre') IS NOT NULL;
SELECT * FROM bert_session_stats();
SELECT cardinality(bert_embed(ARRAY['', repeat('ghost ', 15)], 'tagger'));
SELECT * FROM bert_session_stats();
SELECT pg_temp.failure($$ SELECT bert_embed('{a,NULL}'::text[], 'genre') $$) ~ '^22004', bert_token_count(repeat('ghost ', 31), 'genre');
SELECT * FROM bert_session_stats();
-- A constant that was remembered was not computed.
SELECT count(bert_embed('remembered')) FROM generate_series(1, 5);
SELECT calls FROM bert_session_stats();
-- Which texts a model cuts, without running it.
SELECT length(t) FROM (VALUES (repeat('ghost ', 30)), (repeat('ghost ', 31))) AS v (t), bert_models
 WHERE name = 'genre' AND long_text = 'truncate' AND bert_token_count(t, name) > max_length;
SELECT bert_session_stats_reset();
SELECT * FROM bert_session_stats();

-- Errors leave the session usable.
SELECT pg_temp.failure($$ SELECT bert_embed('ghost', 'nobody') $$) ~ '^42704 .*nobody';
BEGIN;
SAVEPOINT before;
SELECT bert_embed('ghost', 'nobody');
ROLLBACK TO before;
SELECT pg_temp.bits(bert_embed('ghost')) = pg_temp.bits(bert_embed('ghost', 'tagger'));
COMMIT;

-- Loops with COMMIT, cursors.
CREATE TABLE lines (i int, line text, vector real[]);
INSERT INTO lines SELECT i, 'ghost ' || i FROM generate_series(1, 6) AS i;
DO $$
DECLARE
    l record;
BEGIN
    FOR l IN SELECT i, line FROM lines ORDER BY i LOOP
        UPDATE lines SET vector = bert_embed(l.line) WHERE i = l.i;
        IF l.i % 2 = 0 THEN
            COMMIT;
        END IF;
        BEGIN
            PERFORM bert_embed(l.line, 'nobody');
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END $$;
SELECT count(*), bool_and(vector = bert_embed(line, 'tagger')) FROM lines;
BEGIN;
DECLARE c CURSOR FOR SELECT i, vector = bert_embed(line) FROM lines ORDER BY i;
FETCH 2 FROM c;
SAVEPOINT s;
SELECT bert_embed('x', 'nobody');
ROLLBACK TO s;
FETCH 2 FROM c;
COMMIT;

-- Where an answer is kept, it must not depend on a setting.
CREATE INDEX ON lines ((bert_embed(line)));
CREATE INDEX lines_similar ON lines (bert_similarity(bert_embed(line, 'tagger'), bert_embed('robot', 'tagger')));
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT i FROM lines ORDER BY bert_similarity(bert_embed(line, 'tagger'), bert_embed('robot', 'tagger')) LIMIT 1;
RESET enable_seqscan;
CREATE TABLE refused (line text, vector real[] GENERATED ALWAYS AS (bert_embed(line)) STORED);
CREATE TABLE generated (line text, vector real[] GENERATED ALWAYS AS (bert_embed(line, 'tagger')) STORED,
                        tags text[] GENERATED ALWAYS AS (bert_tags(line, 'tagger', top_k => 2)) STORED);
INSERT INTO generated (line) VALUES ('ghost'), (NULL);
SELECT line, vector = bert_embed(line), tags FROM generated;
DROP TABLE generated, lines;

-- Every function: as it is declared.
SELECT p.oid::regprocedure, provolatile AS v, proisstrict AS strict, proparallel AS p, procost, obj_description(p.oid, 'pg_proc') IS NOT NULL AS commented
  FROM pg_proc p
 WHERE proname IN ('bert_embed', 'bert_tags', 'bert_tag_scores', 'bert_tokenize', 'bert_token_count', 'bert_similarity', 'bert_tags_trigger', 'bert_constant_support')
 ORDER BY 1;
\i :unload
